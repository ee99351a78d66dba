/**
 * The files that the agent adds to the results at the end of a job, in the order they are made.
 */
import { describeLine } from "../job/explain/describe-job.ts";
import type { KernelLog } from "../report/log/kernel-log.ts";
import type { ResultWriter } from "../report/results/write-agent-files.ts";
import { createJunitWriter, type JunitWriterOptions } from "./junit-writer.ts";
import { createPageWriter, type PageWriterOptions } from "./page-writer.ts";

/** Ours whether or not this job has them: a test that uses one keeps its file under another name (`junit.xml` may be the test's). */
export const AGENT_FILE_NAMES = ["job.json", "manifest.json", "partial.json", "report.html", "verdict.json"];

export interface ResultWriterTools extends JunitWriterOptions, PageWriterOptions {
  kernelLog: KernelLog;
}

export function listResultWriters({ kernelLog, ...tools }: ResultWriterTools): ResultWriter[] {
  return [
    // It grows as the messages come; here, to the last of them.
    { name: "kernel.log", write: () => void kernelLog.readNow() },
    createJunitWriter(tools),
    {
      name: "job.json",
      write: ({ job }) =>
        job &&
        `${JSON.stringify(describeLine({ dialect: job.dialect, job, errors: [], warnings: [] }), null, 2)}\n`,
    },
    createPageWriter(tools),
  ];
}
