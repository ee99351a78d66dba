/**
 * Writes the agent's files into the results after the job and before the upload: the job, the kernel log, reports. A failed writer does
 * not stop the others.
 */
import type { Job } from "../../job/job.ts";
import type { Verdict } from "../../wire/verdict.ts";
import { AGENT_FILE_LIMIT_MS } from "../limits.ts";
import type { AgentFiles } from "./agent-files.ts";

export interface AgentFileFacts {
  /** The verdict before the upload. */
  verdict: Verdict;
  /** undefined when the command line is not a valid job. */
  job?: Job;
  /** The results folder, with the test's files, `events.jsonl` and the logs of the steps. */
  folder: string;
}

/** Makes one file. To add one, put a writer into `listResultWriters` (agent/wiring/result-writers.ts). */
export interface ResultWriter {
  /** At the top of the results folder. */
  name: string;
  /** Returns the content, of which text is redacted, or undefined when this job has none. What it throws becomes a warning. */
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
      warn(`results: cannot make "${name}": ${(error as Error).message}`);
    }
  }
}

async function settleInTime(content: ReturnType<ResultWriter["write"]>): Promise<ResultContent> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(
      () => reject(new Error(`it took longer than ${AGENT_FILE_LIMIT_MS / 1000} s`)),
      AGENT_FILE_LIMIT_MS,
    );
  });
  try {
    return await Promise.race([content, late]);
  } finally {
    clearTimeout(timer);
  }
}
