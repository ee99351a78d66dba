/** The files that the agent adds to the results at the end of a job, in the order they are made. */
import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { describeLine } from "../job/explain/describe-job.ts";
import type { Job } from "../job/job.ts";
import { createTestsEvent, formatSummary } from "../junit/summary.ts";
import { writeJunitXml } from "../junit/xml-writer.ts";
import { summarizeJob } from "../page/job-summary.ts";
import { LOG_TAIL_BYTES, readLogTail } from "../page/log-tail.ts";
import { REPRODUCE_TOPIC } from "../page/report-facts.ts";
import { formatReportPage } from "../page/report-page.ts";
import { formatReproductionLines } from "../report/results/reproduction.ts";
import { gatherTestResults, JUNIT_FILE_NAME } from "../report/results/test-results.ts";
import type { ResultWriter } from "../report/results/write-agent-files.ts";
import type { BootContext } from "./boot-context.ts";

export function listResultWriters(context: BootContext): ResultWriter[] {
  return [
    // It grows as the messages come; this reads the last of them.
    { name: "kernel.log", write: () => void context.kernelLog.readNow() },
    createJunitWriter(context),
    {
      name: "job.json",
      write: ({ job }) => job && `${JSON.stringify(describeJob(job), null, 2)}\n`,
    },
    createPageWriter(context),
  ];
}

const describeJob = (job: Job) => describeLine({ dialect: job.dialect, job, errors: [], warnings: [] });

/** Also logs how the tests went, in one line and one event. It never changes the verdict. */
function createJunitWriter({ log, warn, events, steps }: BootContext): ResultWriter {
  return {
    name: JUNIT_FILE_NAME,
    async write({ verdict, folder }) {
      const options = { verdict, warn, steps: steps.steps };
      const { report, summary, isKept } = await gatherTestResults(folder, options);
      if (summary.total > 0) events.emit(createTestsEvent(summary));
      // The steps themselves were logged when they ended.
      if (summary.total > 0 && summary.sources.join() !== "steps")
        log.info(`results: ${formatSummary(summary)}`);
      return isKept ? undefined : [...writeJunitXml(report, { name: "dutboot" })].join("");
    },
  };
}

function createPageWriter(context: BootContext): ResultWriter {
  const { events, reportFacts, source, redaction } = context;
  const { cleanValue } = redaction;
  return {
    name: "report.html",
    write({ verdict, job }) {
      if (job) {
        const lines = formatReproductionLines(source.line, job);
        events.emit({ event: "report", topic: REPRODUCE_TOPIC, lines });
      }
      const page = formatReportPage({
        facts: reportFacts.facts,
        verdict: cleanValue(verdict),
        job: job && cleanValue(summarizeJob(describeJob(job))),
        log: readTail(context),
        isBeforeUpload: true,
      });
      // Bytes are not redacted again: secrets are removed already, and could not be found where they are escaped.
      return Buffer.from(page);
    },
  };
}

/** Reads through our own descriptor: the test may have put another file in the log's place. */
function readTail({ logFile: { fd }, redaction }: BootContext) {
  if (fd === undefined) return readLogTail("", { isCut: false });
  const file = openSync(`/proc/self/fd/${fd}`, "r");
  try {
    const position = Math.max(0, fstatSync(file).size - LOG_TAIL_BYTES);
    const bytes = Buffer.alloc(LOG_TAIL_BYTES);
    const length = readSync(file, bytes, { position });
    const text = redaction.redactFile(bytes.toString("utf8", 0, length), "dutboot.log");
    return readLogTail(text, { isCut: position > 0 });
  } finally {
    closeSync(file);
  }
}
