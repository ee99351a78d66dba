/**
 * How the tests went, as one bar and in numbers.
 */
import { formatCount } from "../text.ts";
import { type Html, html } from "./html.ts";
import type { ReportFacts } from "./report-facts.ts";
import { formatPosition } from "./time-axis.ts";

/** Nothing where only the job's steps were counted: the timeline has them. */
export function formatTests({ tests }: ReportFacts): Html | undefined {
  if (!tests || tests.total === 0 || tests.sources.join() === "steps") return undefined;
  const { total, passed, failed, skipped, sources } = tests;
  const parts = [
    { kind: "passed", count: passed },
    { kind: "failed", count: failed },
    { kind: "skipped", count: skipped },
  ];
  const words = parts.map(({ kind, count }) => `${formatCount(count)} ${kind}`).join(", ");
  let done = 0;
  const rects = parts.map(({ kind, count }) => {
    const from = done;
    done += (count * 100) / total;
    return html`<rect class="${kind}" x="${formatPosition(from)}" width="${formatPosition(done - from)}" height="100%"/>`;
  });
  return html`<section aria-labelledby="tests"><h2 id="tests">Tests <span class="count">${formatCount(total)}</span></h2>
<svg class="share" width="100%" height="14" role="img"><title>${words}</title>${rects}</svg>
<ul class="legend">${parts.map(({ kind, count }) => html`<li class="${kind}"><strong>${formatCount(count)}</strong> ${kind}</li>`)}</ul>
<p class="quiet">From ${sources.join(", ") || "the results"}; each of them is in <code>junit.xml</code>.</p></section>`;
}
