/**
 * `dutboot results` shows the results of a boot, from a folder or from S3, with the content of `report.html`. Its exit code is that
 * of the verdict, as if the job had run here, or 201 without a verdict.
 */
import { writeFile } from "node:fs/promises";
import { resolve } from "node:path";
import { AgentError, EXIT_CODE_BY_BLAME } from "../agent/errors.ts";
import { describeVerdict } from "../agent/page/describe-verdict.ts";
import { sumTransfers } from "../agent/page/report-facts.ts";
import { formatReportPage } from "../agent/page/report-page.ts";
import { EXIT_CODE_NO_VERDICT, exitCodeOfVerdict } from "../agent/wire/verdict.ts";
import { type Command, UsageError } from "./command.ts";
import { type ReadResults, readResults } from "./read-results.ts";
import { openSource } from "./results-source.ts";
import { formatResultsText } from "./results-text.ts";

const LOG_LINES = 20;
const LOG_LINES_MAX = 200;
const DEFAULT_COLUMNS = 100;

export const resultsCommand: Command = {
  name: "results",
  summary: "Show the results of a boot: verdict, timeline, downloads, tests, warnings, the end of the log",
  operands: "DIR | s3://BUCKET/PREFIX",
  options: {
    json: { type: "boolean", help: "Print JSON" },
    html: { type: "string", value: "FILE", help: "Write report.html again, with everything known now" },
    lines: {
      type: "string",
      value: "N",
      help: `Show the last N lines of the log, at most ${LOG_LINES_MAX} (default ${LOG_LINES})`,
    },
    endpoint: { type: "string", value: "URL", help: "S3 service (default: AWS_ENDPOINT_URL, or Amazon's)" },
    region: { type: "string", value: "NAME", help: "S3 region (default: AWS_REGION, or us-east-1)" },
  },
  notes: [
    "Every file is compared with the hash in manifest.json. Credentials for S3 are those of AWS's tools: AWS_ACCESS_KEY_ID and",
    "AWS_SECRET_ACCESS_KEY, or the profile `default` of ~/.aws/credentials. NO_COLOR is respected.",
  ],
  examples: [
    "npx dutboot results out/runs/20261123T020624Z-6fd247/results",
    "npx dutboot results --endpoint http://10.42.0.1:9000 s3://results/mesa/12345",
    "npx dutboot results --json results/ | jq .verdict",
  ],
  async run(input) {
    const [where, ...others] = input.operands;
    if (where === undefined || others.length > 0)
      throw new UsageError("Cannot show results: expected one folder or s3://BUCKET/PREFIX");
    const logLines = readLineCount(input.text("lines"));
    const source = openSource(where, {
      endpoint: input.text("endpoint"),
      region: input.text("region"),
      env: process.env,
    });
    try {
      const results = await readResults(source);
      const { facts, verdict, job, log } = results;
      const html = input.text("html");
      if (html !== undefined)
        await writeFile(html, formatReportPage({ facts, verdict, job, log, isBeforeUpload: false }));
      const page = html
        ? `file://${resolve(html)}`
        : results.hasPage
          ? source.locate("report.html")
          : undefined;
      if (input.flag("json")) console.log(JSON.stringify(describeResults(results, page), null, 2));
      else
        process.stdout.write(
          formatResultsText(results, {
            hasColor: process.stdout.isTTY === true && !process.env.NO_COLOR,
            columns: process.stdout.columns ?? DEFAULT_COLUMNS,
            logLines,
            page,
          }),
        );
      return verdict ? exitCodeOfVerdict(verdict) : EXIT_CODE_NO_VERDICT;
    } catch (error) {
      if (!(error instanceof AgentError)) throw error;
      console.error(`dutboot: ${error.message} (${error.code}). ${error.hint}`);
      return EXIT_CODE_BY_BLAME[error.blame];
    } finally {
      await source.close();
    }
  },
};

function readLineCount(text: string | undefined): number {
  if (text === undefined) return LOG_LINES;
  const count = Number(text);
  if (!Number.isInteger(count) || count < 0 || count > LOG_LINES_MAX)
    throw new UsageError(`Cannot use --lines "${text}": expected a whole number up to ${LOG_LINES_MAX}`);
  return count;
}

/** The JSON: every field is always present, and null when it is unknown. */
function describeResults({ facts, verdict, job, files, problems }: ReadResults, page: string | undefined) {
  const { phases, steps, transfers, tests, warnings, warningCount, machine, agentVersion, bootId } = facts;
  return {
    verdict: verdict ?? null,
    says: describeVerdict(verdict, facts).subtitle,
    bootId: bootId ?? verdict?.bootId ?? null,
    agent: agentVersion ?? null,
    machine: machine ?? null,
    root: job.root ?? null,
    endMs: facts.endMs,
    phases,
    steps,
    transfers,
    ...sumTransfers(transfers),
    tests: tests ?? null,
    warnings,
    warningCount,
    files: { ...files, listed: files.listed ?? null },
    problems,
    reproducers: facts.reproducers,
    page: page ?? null,
  };
}
