/**
 * The job in a few words, from its description (`job.json`, which `describeLine` of agent/job makes). It may come from any folder, so
 * nothing of its shape is taken for granted.
 */

export interface JobSummary {
  /** What it runs in. */
  root?: string;
  /** Where its results go. */
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
