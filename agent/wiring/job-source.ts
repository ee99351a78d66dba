/** Where the job comes from: the kernel command line, and what that points to (boot2container's extra arguments, a job file). */
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { AgentError } from "../errors.ts";
import type { Dialect, Job } from "../job/job.ts";
import { parseJobFileText } from "../job/job-file.ts";
import { listJobSecrets } from "../job/job-secrets.ts";
import { JOB_FILE_MAX_BYTES } from "../job/limits.ts";
import { type ReadLine, readCommandLine, WHOLE_LINES_FILE } from "../job/read-job.ts";
import type { ArchiveOpener } from "../net/archives/archive-opener.ts";
import { listSecretValues } from "../redaction/patterns.ts";
import type { Log } from "../report/log/log.ts";

export interface JobSource {
  /** Decides whose console texts are printed, even where the rest of the line is invalid. */
  readonly dialect: Dialect;
  /** Whether the phases are GitLab sections: in our own dialect, unless the line turns them off. */
  readonly hasSections: boolean;
  /** The kernel command line as it is. */
  readonly line: string;
  /** Secrets that were written on the line, though they should not be. */
  readonly secrets: readonly string[];
  /** The job as far as the line describes it. Throws the line's first error, and logs the others. */
  read(): Job;
  /** Fetches what the line points to, one level deep. Throws errors of the network, and JOB_FILE_…. */
  complete(job: Job, connect: () => Promise<ArchiveOpener>, options: { signal: AbortSignal }): Promise<Job>;
}

export function openJobSource(line: string, log: Log): JobSource {
  const linesArriveWhole = existsSync(WHOLE_LINES_FILE);
  const ofLine = readCommandLine(line, { linesArriveWhole });
  const { dialect, job: lineJob } = ofLine;
  return {
    line,
    secrets: [...listSecretValues(line), ...(lineJob ? listJobSecrets(lineJob) : [])],
    dialect,
    hasSections: dialect === "dut" && !lineJob?.machine?.hasNoSections,
    read: () => requireJob(ofLine, log),
    async complete(job, connect, { signal }) {
      const { extraArgumentsUrl, jobFileUrl } = job.machine ?? {};
      if (extraArgumentsUrl !== undefined) {
        const extraArguments = await fetchText({ url: extraArgumentsUrl }, await connect(), signal);
        log.info(`machine: extra arguments: ${extraArguments.length} characters`);
        return requireJob(readCommandLine(line, { extraArguments, linesArriveWhole }), log);
      }
      if (jobFileUrl !== undefined) {
        const jobFile = parseJobFileText(await fetchText(jobFileUrl, await connect(), signal));
        log.info(`machine: the job file has ${jobFile.length} options`);
        return requireJob(readCommandLine(line, { jobFile, linesArriveWhole }), log);
      }
      return job;
    },
  };
}

function requireJob({ job, errors, warnings }: ReadLine, log: Log): Job {
  for (const warning of warnings) log.warn(`job: ${warning}`);
  // A step that cannot be read fails when its turn comes.
  const ofSteps = new Set(job?.steps.map(({ error }) => error));
  const [first, ...others] = errors.filter((error) => !ofSteps.has(error));
  for (const error of others) log.error(`job: ${error.message}. ${error.hint}`);
  if (first) throw first;
  if (!job)
    throw new AgentError("BUG_UNEXPECTED", "Cannot read a job from the command line: no error says why");
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
