/**
 * The sections that show shares of a whole as a bar: test results, and what was fetched or reused.
 */
import { formatCount } from "../text.ts";
import {
  formatBytes,
  formatDuration,
  formatPercent,
  type Html,
  html,
  shortenName,
  takeWithin,
} from "./html.ts";
import { type ReportFacts, sumTransfers, type Transfer } from "./report-facts.ts";
import { formatPosition } from "./timeline.ts";

const ROWS_MAX = 40;
const NAME_LENGTH = 60;
const ROWS_MAX_BYTES = 30 * 1024;

interface Share {
  /** The class of its colour. */
  kind: string;
  size: number;
  text: string;
  label: string;
}

function formatShares(shares: readonly Share[]): Html {
  const total = Math.max(
    1,
    shares.reduce((sum, { size }) => sum + size, 0),
  );
  let done = 0;
  const bars = shares.map(({ kind, size }) => {
    const from = done;
    done += (size * 100) / total;
    return html`<rect class="${kind}" x="${formatPosition(from)}" width="${formatPosition(done - from)}" height="100%"/>`;
  });
  const title = shares.map(({ text, label }) => `${text} ${label}`).join(", ");
  return html`<svg class="share" width="100%" height="14" role="img"><title>${title}</title>${bars}</svg>
<ul class="legend">${shares.map(({ kind, text, label }) => html`<li class="${kind}"><strong>${text}</strong> ${label}</li>`)}</ul>`;
}

/** undefined when only the job's steps were counted: the timeline shows them. */
export function formatTests({ tests }: ReportFacts): Html | undefined {
  if (!tests || tests.total === 0 || tests.sources.join() === "steps") return undefined;
  const { total, sources } = tests;
  const shares = (["passed", "failed", "skipped"] as const).map((kind) => {
    return { kind, size: tests[kind], text: formatCount(tests[kind]), label: kind };
  });
  return html`<section aria-labelledby="tests"><h2 id="tests">Tests <span class="count">${formatCount(total)}</span></h2>
${formatShares(shares)}
<p class="quiet">From ${sources.join(", ") || "the results"}; all of them are in <code>junit.xml</code>.</p></section>`;
}

export function formatTransfers({ transfers }: ReportFacts): Html | undefined {
  if (transfers.length === 0) return undefined;
  const { fetchedBytes, reusedBytes } = sumTransfers(transfers);
  const percent = formatPercent(reusedBytes, fetchedBytes + reusedBytes);
  const shares = [
    { kind: "fetched", size: fetchedBytes, text: formatBytes(fetchedBytes), label: "fetched" },
    { kind: "reused", size: reusedBytes, text: formatBytes(reusedBytes), label: `reused (${percent})` },
  ];
  const rows = takeWithin(ROWS_MAX_BYTES, transfers.slice(0, ROWS_MAX).map(formatRow));
  const left = transfers.length - rows.length;
  return html`<section aria-labelledby="bytes"><h2 id="bytes">Fetched</h2>
${formatShares(shares)}
<table><thead><tr><th scope="col">Layer or archive</th><th scope="col">Fetched</th><th scope="col">Reused</th><th scope="col">Time</th></tr></thead>
<tbody>${rows}</tbody></table>${left > 0 && html`<p class="quiet">and ${left} more in <code>events.jsonl</code></p>`}</section>`;
}

function formatRow({ name, fetchedBytes, reusedBytes, startMs, endMs }: Transfer): Html {
  return html`<tr><th scope="row">${shortenName(name, NAME_LENGTH)}</th><td>${formatBytes(fetchedBytes)}</td><td>${formatBytes(reusedBytes)}</td><td>${formatDuration(endMs - startMs)}</td></tr>
`;
}
