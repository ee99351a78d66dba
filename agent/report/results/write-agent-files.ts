/**
 * What the agent itself adds to the results when the job is over, before they are uploaded: the job, its kernel log, its reports.
 * Each writer fails alone: a report that cannot be made costs nobody the results.
 */
import type { Job } from "../../job/job.ts";
import type { Verdict } from "../../wire/verdict.ts";
import { AGENT_FILE_LIMIT_MS } from "../limits.ts";
import type { AgentFiles } from "./agent-files.ts";

/** What is known then. */
export interface AgentFileFacts {
  /** As it stands before the upload. */
  verdict: Verdict;
  /** Absent where the line is no job. */
  job?: Job;
  /** The results folder: the test's files, `events.jsonl` and the raw logs of the steps lie in it. */
  folder: string;
}

/**
 * Makes one file of ours. To add one, put a writer into `listResultWriters` (agent/wiring/result-writers.ts): `write` gets the
 * facts and gives the content, or undefined where this job has none. The file is written whole, without secrets where it is text;
 * a file of the test's with that name is kept under another. What `write` throws becomes a warning.
 */
export interface ResultWriter {
  /** At the top of the results folder. */
  name: string;
  write(facts: AgentFileFacts): ResultContent | Promise<ResultContent>;
}

type ResultContent = Buffer | string | undefined;

export async function writeAgentFiles(
  writers: readonly ResultWriter[],
  facts: Omit<AgentFileFacts, "folder">,
  { files, warn }: { files: AgentFiles; warn(message: string): void },
): Promise<void> {
  for (const { name, write } of writers) {
    try {
      const content = await settleInTime(write({ ...facts, folder: files.folder }));
      if (content !== undefined) files.write(name, content);
    } catch (error) {
      warn(`results: "${name}" cannot be made: ${(error as Error).message}`);
    }
  }
}

async function settleInTime(content: ReturnType<ResultWriter["write"]>): Promise<ResultContent> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error("it takes too long")), AGENT_FILE_LIMIT_MS);
  });
  try {
    return await Promise.race([content, late]);
  } finally {
    clearTimeout(timer);
  }
}
