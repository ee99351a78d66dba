/**
 * Where the job comes from: the kernel command line, and what that points to (boot2container's extra arguments, a job file).
 */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { AgentError } from "../errors.ts";
import type { Dialect, Job } from "../job/job.ts";
import { parseJobFileText } from "../job/job-file.ts";
import { listJobSecrets } from "../job/job-secrets.ts";
import { JOB_FILE_MAX_BYTES } from "../job/limits.ts";
import { type FetchedFiles, readCommandLine } from "../job/read-job.ts";
import type { ArchiveOpener } from "../net/archives/archive-opener.ts";
import { listSecretValues } from "../redaction/patterns.ts";
import type { Log } from "../report/log/log.ts";

export interface JobSource {
  /** Whose console lines are expected, whatever else is wrong with the line. */
  readonly dialect: Dialect;
  /** Ours where the line does not refuse them; the other dialects' readers know no sections, or have their own. */
  readonly hasSections: boolean;
  /** The kernel command line as it is. */
  readonly line: string;
  /** Those that stand in it, though they should not. */
  readonly secrets: readonly string[];
  /** As far as the command line says it. Throws its first error, and logs the others. */
  read(): Job;
  /** With what the line points to, fetched one level deep. Throws what the network does, and JOB_FILE_…. */
  complete(job: Job, connect: () => Promise<ArchiveOpener>, options: { signal: AbortSignal }): Promise<Job>;
}

export function createJobSource({
  log,
  commandLinePath = "/proc/cmdline",
}: {
  log: Log;
  commandLinePath?: string;
}): JobSource {
  const line = readFileSync(commandLinePath, "utf8");
  const { dialect, job } = readCommandLine(line);
  return {
    line,
    secrets: [...listSecretValues(line), ...(job ? listJobSecrets(job) : [])],
    dialect,
    hasSections: dialect === "dut" && !job?.machine?.hasNoSections,
    read: () => readJob(line, {}, log),
    async complete(job, connect, { signal }) {
      const { extraArgumentsUrl, jobFileUrl } = job.machine ?? {};
      if (extraArgumentsUrl !== undefined) {
        const extraArguments = await fetchText({ url: extraArgumentsUrl }, await connect(), signal);
        log.info(`machine: extra arguments: ${extraArguments.length} characters`);
        return readJob(line, { extraArguments }, log);
      }
      if (jobFileUrl !== undefined) {
        const jobFile = parseJobFileText(await fetchText(jobFileUrl, await connect(), signal));
        log.info(`machine: the job file says ${jobFile.length} options`);
        return readJob(line, { jobFile }, log);
      }
      return job;
    },
  };
}

function readJob(line: string, options: FetchedFiles, log: Log): Job {
  const { job, errors, warnings } = readCommandLine(line, options);
  for (const warning of warnings) log.warn(`job: ${warning}`);
  // A step that cannot be read fails when its turn comes.
  const ofSteps = new Set(job?.steps.map(({ error }) => error));
  const [first, ...others] = errors.filter((error) => !ofSteps.has(error));
  for (const error of others) log.error(`job: ${error.message}. ${error.hint}`);
  if (first) throw first;
  if (!job)
    throw new AgentError(
      "BUG_UNEXPECTED",
      "Cannot read a job from the command line, and no complaint says why",
    );
  return job;
}

async function fetchText(
  { url, sha256 }: { url: string; sha256?: string },
  open: ArchiveOpener,
  signal: AbortSignal,
): Promise<string> {
  const { body } = await open(url).open({ hasDigest: sha256 !== undefined, signal });
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  for await (const chunk of body) {
    sizeBytes += chunk.length;
    if (sizeBytes > JOB_FILE_MAX_BYTES)
      throw new AgentError(
        "JOB_FILE_INVALID",
        `Cannot read "${url}": it is larger than ${JOB_FILE_MAX_BYTES} bytes`,
      );
    chunks.push(chunk);
  }
  const bytes = Buffer.concat(chunks);
  const digest = createHash("sha256").update(bytes).digest("hex");
  if (sha256 !== undefined && digest !== sha256)
    throw new AgentError(
      "JOB_FILE_DIGEST_MISMATCH",
      `Cannot use "${url}": its sha256 is "${digest}", the job says "${sha256}"`,
    );
  return bytes.toString();
}
