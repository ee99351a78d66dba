/**
 * `junit.xml` among the results, and how the tests went in one line of the log and one event. It never changes the verdict.
 */
import type { StepRecorder } from "../junit/step-cases.ts";
import { createTestsEvent, formatSummary } from "../junit/summary.ts";
import { writeJunitXml } from "../junit/xml-writer.ts";
import type { EventStream } from "../report/log/event-stream.ts";
import type { Log } from "../report/log/log.ts";
import { gatherTestResults, JUNIT_FILE_NAME } from "../report/results/test-results.ts";
import type { ResultWriter } from "../report/results/write-agent-files.ts";

export interface JunitWriterOptions {
  log: Log;
  events: EventStream;
  steps: StepRecorder;
}

export function createJunitWriter({ log, events, steps }: JunitWriterOptions): ResultWriter {
  return {
    name: JUNIT_FILE_NAME,
    async write({ verdict, folder }) {
      const warn = (message: string) => log.warn(message);
      const { report, summary, isKept } = await gatherTestResults(folder, {
        verdict,
        warn,
        steps: steps.steps,
      });
      if (summary.total > 0) events.emit(createTestsEvent(summary));
      // Steps are told where they end.
      if (summary.total > 0 && summary.sources.join() !== "steps")
        log.info(`results: ${formatSummary(summary)}`);
      return isKept ? undefined : [...writeJunitXml(report, { name: "dutboot" })].join("");
    },
  };
}
