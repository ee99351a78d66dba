/**
 * `report.html`: a self-contained page with the verdict, the timeline, what was fetched, memory and CPU, and the end of the log. It needs
 * no network and no script, its size is bounded, and everything in it is escaped.
 */
import { createHash } from "node:crypto";
import { formatCount, truncateMiddle } from "../text.ts";
import type { Verdict } from "../wire/verdict.ts";
import { describeVerdict, type VerdictText } from "./describe-verdict.ts";
import {
  formatBytes,
  formatDuration,
  formatPercent,
  type Html,
  html,
  shortenName,
  takeWithin,
} from "./html.ts";
import type { JobSummary } from "./job-summary.ts";
import { formatLogLines, type LogTail } from "./log-tail.ts";
import { type ReportFacts, sumTransfers } from "./report-facts.ts";
import { formatResources } from "./resource-chart.ts";
import { formatTests, formatTransfers } from "./shares.ts";
import { STATE_COLORS, STYLE } from "./style.ts";
import { createTimeAxis, formatTimeline } from "./timeline.ts";

export interface ReportInput {
  facts: ReportFacts;
  /** undefined when the boot left none. */
  verdict?: Verdict;
  job?: JobSummary;
  log: LogTail;
  /** The page is made before the upload, and therefore before the final verdict. */
  isBeforeUpload: boolean;
}

const TEXT_MAX_LENGTH = 2000;
const WARNINGS_SHOWN = 30;
const WARNING_MAX_LENGTH = 400;
const WARNINGS_MAX_BYTES = 24 * 1024;
const REPRODUCERS_MAX_BYTES = 24 * 1024;

/** The whole page as UTF-8 text. */
export function formatReportPage({ facts: given, ...rest }: ReportInput): string {
  const facts = rest.isBeforeUpload ? omitOpenUpload(given) : given;
  const input: ReportInput = { ...rest, facts };
  const { verdict, job } = input;
  const verdictText = describeVerdict(verdict, facts);
  const axis = createTimeAxis(facts.endMs);
  const resources = formatResources(facts, axis);
  const name = job?.root === undefined ? "a job" : shortenName(job.root, 120);
  const page = html`<!doctype html>
<html lang="en" class="${verdictText.state}">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${formatPolicy()}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<title>${verdictText.title}: ${name}</title>
<link rel="icon" href="${formatIcon(verdictText.state)}">
<style>${STYLE}</style>
</head>
<body>
${formatBanner(verdictText, input)}
<main>
${verdictText.error && formatError(verdictText.error)}
${formatFigures(input)}
<section aria-labelledby="timeline"><h2 id="timeline">Timeline</h2>
${formatTimeline(facts, axis)}${
  resources &&
  html`<h3>Memory and CPU</h3>
${resources}`
}</section>
${formatTests(facts)}
${formatTransfers(facts)}
${formatWarnings(facts)}
${formatLog(input.log)}
${formatReproducers(facts)}
${formatMachine(input)}
</main>
<footer>Times count from the start of the kernel.${
    input.isBeforeUpload &&
    html` This page was made at ${formatDuration(facts.endMs)}, before the upload of the results: <code>verdict.json</code> has the last word.`
  }</footer>
</body>
</html>
`;
  return page.text;
}

/** Without the upload, which is under way while the page is made. */
function omitOpenUpload(facts: ReportFacts): ReportFacts {
  const phases = facts.phases.filter(({ name, endMs }) => name !== "upload" || endMs !== undefined);
  return { ...facts, phases };
}

/** Allows only the page's style sheet, by its hash. */
function formatPolicy(): string {
  const hash = createHash("sha256").update(STYLE.text).digest("base64");
  return `default-src 'none'; style-src 'sha256-${hash}'; img-src data:; base-uri 'none'; form-action 'none'`;
}

function formatIcon(state: VerdictText["state"]): string {
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><circle cx="8" cy="8" r="7" fill="${STATE_COLORS[state]}"/></svg>`;
  return `data:image/svg+xml,${encodeURIComponent(svg)}`;
}

/** Paths in a square of 24 by 24. */
const SIGNS: Readonly<Record<VerdictText["state"], string>> = {
  pass: "M5 12.5l4.5 4.5L19 7.5",
  fail: "M6.5 6.5l11 11M17.5 6.5l-11 11",
  error: "M12 5.5v8.5M12 17.6v.9",
  none: "M8.5 9a3.5 3.5 0 1 1 5.2 3.1c-1.1.7-1.7 1.2-1.7 2.4M12 18.2v.5",
};

function formatBanner({ state, title, subtitle, error }: VerdictText, { job, facts }: ReportInput): Html {
  return html`<header class="banner"><div class="inner">
<svg class="sign" viewBox="0 0 24 24" width="72" height="72" aria-hidden="true"><circle cx="12" cy="12" r="11"/><path d="${SIGNS[state]}"/></svg>
<div class="answer"><h1>${title}</h1>
<p class="says">${error && html`<code>${error.code}</code> `}${subtitle}</p>
<p class="of">${job?.root !== undefined && html`<span>${shortenName(job.root, 200)}</span>`}<span class="short">${formatDuration(facts.endMs)}</span>${facts.bootId !== undefined && html`<span class="short">boot ${truncateMiddle(facts.bootId, 20)}</span>`}</p></div>
</div></header>`;
}

function formatError({
  code,
  blame,
  whoActs,
  phase,
  message,
  means,
  hint,
}: NonNullable<VerdictText["error"]>): Html {
  return html`<section class="error" aria-labelledby="error"><h2 id="error">What went wrong</h2>
<p class="message">${truncateMiddle(message, TEXT_MAX_LENGTH)}</p>
<dl class="facts">
<div><dt>What to do</dt><dd>${truncateMiddle(hint, TEXT_MAX_LENGTH)}</dd></div>
<div><dt>Who must act</dt><dd><strong>${blame}</strong>${whoActs && `: ${whoActs}`}</dd></div>
<div><dt>Code</dt><dd><code>${code}</code>, in phase ${phase}${means && html`<br><span class="quiet">${means}</span>`}</dd></div>
</dl></section>`;
}

/** The most important numbers. */
function formatFigures({ facts, verdict }: ReportInput): Html {
  const { tests, phases, transfers } = facts;
  const run = phases.find(({ name }) => name === "run");
  const { fetchedBytes, reusedBytes } = sumTransfers(transfers);
  const figures: (readonly [name: string, value: string, remark?: string])[] = [
    ["Exit code", verdict?.exitCode === null || !verdict ? "none" : String(verdict.exitCode)],
  ];
  if (run) {
    figures.push(["Until the test", formatDuration(run.startMs)]);
    if (run.outcome !== "skipped") {
      const isOpen = run.endMs === undefined;
      figures.push([
        "Test",
        formatDuration((run.endMs ?? facts.endMs) - run.startMs),
        isOpen ? "not ended" : "",
      ]);
    }
  }
  if (transfers.length > 0) {
    figures.push(["Fetched", formatBytes(fetchedBytes)]);
    const share = formatPercent(reusedBytes, fetchedBytes + reusedBytes);
    figures.push(["Reused", formatBytes(reusedBytes), reusedBytes > 0 ? share : ""]);
  }
  if (tests)
    figures.push([
      tests.sources.join() === "steps" ? "Steps passed" : "Tests passed",
      formatCount(tests.passed),
      `of ${formatCount(tests.total)}`,
    ]);
  return html`<dl class="figures">${figures.map(
    ([name, value, remark]) =>
      html`<div><dt>${name}</dt><dd>${value}${remark && html` <small>${remark}</small>`}</dd></div>`,
  )}</dl>`;
}

function formatWarnings({ warnings, warningCount }: ReportFacts): Html | undefined {
  if (warningCount === 0) return undefined;
  const rows = warnings.slice(0, WARNINGS_SHOWN).map(formatWarning);
  const shown = takeWithin(WARNINGS_MAX_BYTES, rows);
  const left = warningCount - shown.length;
  return html`<section aria-labelledby="warnings"><h2 id="warnings">Warnings <span class="count">${formatCount(warningCount)}</span></h2>
<ul class="warnings">${shown}</ul>${left > 0 && html`<p class="quiet">and ${formatCount(left)} more in <code>events.jsonl</code></p>`}</section>`;
}

function formatWarning({ atMs, isError, text }: ReportFacts["warnings"][number]): Html {
  return html`<li class="${isError ? "bad" : "warn"}"><span class="at">${formatDuration(atMs)}</span> <span class="level">${isError ? "error" : "warning"}</span> ${truncateMiddle(text, WARNING_MAX_LENGTH)}</li>
`;
}

function formatLog(log: LogTail): Html {
  const { content, count, isCut } = formatLogLines(log);
  if (count === 0)
    return html`<section aria-labelledby="log"><h2 id="log">Log</h2><p class="quiet">The log is empty.</p></section>`;
  const which = isCut ? `The last ${formatCount(count)} lines of` : "All of";
  return html`<section aria-labelledby="log"><h2 id="log">Log</h2>
<p class="quiet">${which} <code>dutboot.log</code>.</p>
<div class="log" tabindex="0" role="region" aria-label="The last lines of the log"><pre>${content}</pre></div></section>`;
}

function formatReproducers({ reproducers }: ReportFacts): Html | undefined {
  if (reproducers.length === 0) return undefined;
  return html`<section aria-labelledby="reproduce"><h2 id="reproduce">Reproduce</h2>
${takeWithin(REPRODUCERS_MAX_BYTES, reproducers.map(formatReproducer))}</section>`;
}

function formatReproducer(line: string): Html {
  const [, what = "", command = line] = /^([^:]{1,60}): (.*)$/s.exec(line) ?? [];
  return html`<p class="quiet">${what}</p><pre class="command">${truncateMiddle(command, TEXT_MAX_LENGTH)}</pre>
`;
}

function formatMachine({ facts, job }: ReportInput): Html {
  const { machine, agentVersion, bootId } = facts;
  const rows: (readonly [string, string | undefined])[] = [
    ["Kernel", machine && `${machine.kernel}, ${machine.architecture}`],
    ["CPU", machine?.cpu],
    ["Memory", machine && formatBytes(machine.ramBytes)],
    ["Agent", agentVersion && `dutboot ${agentVersion}`],
    ["Boot", bootId],
    ["Root", job?.root],
    ["Results", job?.results],
  ];
  const known = rows.filter(([, value]) => value !== undefined && value !== "");
  return html`<section aria-labelledby="machine"><h2 id="machine">Machine and job</h2>
<dl class="facts">${known.map(([name, value]) => html`<div><dt>${name}</dt><dd>${truncateMiddle(value ?? "", 300)}</dd></div>`)}</dl></section>`;
}
