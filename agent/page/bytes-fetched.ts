/**
 * What came over the network and what was here already: of all, and of each layer and archive.
 */
import { formatBytes, formatDuration, formatPercent, shortenName } from "./format.ts";
import { type Html, html, takeWithin } from "./html.ts";
import { type ReportFacts, sumTransfers, type Transfer } from "./report-facts.ts";
import { formatPosition } from "./time-axis.ts";

const ROWS_MAX = 40;
const NAME_LENGTH = 60;
const HTML_MAX_BYTES = 30 * 1024;

export function formatBytesFetched({ transfers }: ReportFacts): Html | undefined {
  if (transfers.length === 0) return undefined;
  const { fetchedBytes, reusedBytes } = sumTransfers(transfers);
  const total = fetchedBytes + reusedBytes;
  const share = total > 0 ? (fetchedBytes * 100) / total : 0;
  const words = `${formatBytes(fetchedBytes)} fetched, ${formatBytes(reusedBytes)} here already`;
  const shown = takeWithin(HTML_MAX_BYTES, transfers.slice(0, ROWS_MAX).map(formatRow));
  const left = transfers.length - shown.length;
  return html`<section aria-labelledby="bytes"><h2 id="bytes">Fetched</h2>
<svg class="share" width="100%" height="14" role="img"><title>${words}</title><rect class="fetched" width="${formatPosition(share)}" height="100%"/><rect class="reused" x="${formatPosition(share)}" width="${formatPosition(100 - share)}" height="100%"/></svg>
<ul class="legend"><li class="fetched"><strong>${formatBytes(fetchedBytes)}</strong> fetched</li><li class="reused"><strong>${formatBytes(reusedBytes)}</strong> here already (${formatPercent(reusedBytes, total)})</li></ul>
<table><thead><tr><th scope="col">Layer or archive</th><th scope="col">Fetched</th><th scope="col">Here already</th><th scope="col">Time</th></tr></thead>
<tbody>${shown}</tbody></table>${left > 0 && html`<p class="quiet">and ${left} more in <code>events.jsonl</code></p>`}</section>`;
}

function formatRow({ name, fetchedBytes, reusedBytes, startMs, endMs }: Transfer): Html {
  return html`<tr><th scope="row">${shortenName(name, NAME_LENGTH)}</th><td>${formatBytes(fetchedBytes)}</td><td>${formatBytes(reusedBytes)}</td><td>${formatDuration(endMs - startMs)}</td></tr>
`;
}
