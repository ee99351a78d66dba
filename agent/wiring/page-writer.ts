/**
 * `report.html` among the results, made from the same lines as `events.jsonl`, which are kept as facts while they are written.
 */
import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { describeLine } from "../job/explain/describe-job.ts";
import type { Job } from "../job/job.ts";
import { summarizeJob } from "../page/job-summary.ts";
import { LOG_TAIL_BYTES, readLogTail } from "../page/log-tail.ts";
import { type FactsReader, REPRODUCE_TOPIC } from "../page/report-facts.ts";
import { formatReportPage } from "../page/report-page.ts";
import type { Redaction } from "../redaction/redaction.ts";
import type { EventStream } from "../report/log/event-stream.ts";
import type { LogFile } from "../report/log/log-file.ts";
import { formatReproductionLines } from "../report/results/reproduction.ts";
import type { ResultWriter } from "../report/results/write-agent-files.ts";
import type { JobSource } from "./job-source.ts";

export interface PageWriterOptions {
  reportFacts: FactsReader;
  events: EventStream;
  logFile: LogFile;
  redaction: Redaction;
  source: Pick<JobSource, "line">;
}

export function createPageWriter({
  reportFacts,
  events,
  logFile,
  redaction,
  source,
}: PageWriterOptions): ResultWriter {
  const { cleanValue } = redaction;
  return {
    name: "report.html",
    write({ verdict, job }) {
      if (job)
        events.emit({
          event: "report",
          topic: REPRODUCE_TOPIC,
          lines: formatReproductionLines(source.line, job),
        });
      const page = formatReportPage({
        facts: reportFacts.facts,
        verdict: cleanValue(verdict),
        ...(job && { job: cleanValue(summarizeJob(describeJobOnly(job))) }),
        log: readTail(logFile, redaction),
        isBeforeUpload: true,
      });
      // Bytes, as secrets are out already: they cannot be found any more where they are escaped.
      return Buffer.from(page);
    },
  };
}

const describeJobOnly = (job: Job) => describeLine({ dialect: job.dialect, job, errors: [], warnings: [] });

/** Through our own descriptor: the test may have put another file in the log's place. */
function readTail({ fd }: LogFile, { redactFile }: Redaction) {
  if (fd === undefined) return readLogTail("", { isCut: false });
  const file = openSync(`/proc/self/fd/${fd}`, "r");
  try {
    const { size } = fstatSync(file);
    const position = Math.max(0, size - LOG_TAIL_BYTES);
    const bytes = Buffer.alloc(size - position);
    const length = readSync(file, bytes, { position });
    return readLogTail(redactFile(bytes.toString("utf8", 0, length), "dutboot.log"), { isCut: position > 0 });
  } finally {
    closeSync(file);
  }
}
