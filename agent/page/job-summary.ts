/**
 * A summary of the job from `job.json`, which `describeLine` of agent/job makes. The file may come from anywhere, so its shape is checked.
 */

export interface JobSummary {
  root?: string;
  /** The results' destination. */
  results?: string;
}

export function summarizeJob(description: unknown): JobSummary {
  const job = fieldsOf(fieldsOf(description).job);
  const [first] = Array.isArray(job.steps) ? job.steps : [];
  const root = describeRoot(fieldsOf(job.root)) ?? textOf(fieldsOf(first).image);
  const { s3, put, nfs } = fieldsOf(job.results);
  const results = textOf(s3) ?? textOf(put) ?? describeExport(nfs);
  return { root, results };
}

function describeRoot({ image, archives, directory, nfs }: Fields): string | undefined {
  const [base] = Array.isArray(archives) ? archives : [];
  return textOf(image) ?? textOf(fieldsOf(base).url) ?? textOf(directory) ?? describeExport(nfs);
}

function describeExport(value: unknown): string | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const { server, path } = fieldsOf(value);
  return `nfs://${textOf(server) ?? ""}${textOf(path) ?? ""}`;
}

type Fields = Readonly<Record<string, unknown>>;

const fieldsOf = (value: unknown): Fields =>
  typeof value === "object" && value !== null ? (value as Fields) : {};

const textOf = (value: unknown) => (typeof value === "string" ? value : undefined);
