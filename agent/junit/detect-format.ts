/**
 * Which files a test left are results in a format we read, told by name and first bytes; a name alone is never believed.
 */
import { isDeqpCsv } from "./deqp-csv.ts";
import { parseTapLine } from "./tap-line.ts";
import { isJunitXml } from "./xml-reader.ts";

export type ResultFormat = "junit" | "tap" | "deqp";

/** So many of a file's first bytes are looked at. */
export const SNIFF_BYTES = 64 * 1024;

/** Files that may be results at all, so that others need not be opened. */
export function mayHoldResults(name: string): boolean {
  return /\.(?:xml|csv|tap|ktap|txt|log|out)$|(?:^|\/)[^./]+$/i.test(name);
}

/** `head`: the first bytes; `isCut` where the file goes on behind them. */
export function detectFormat(
  name: string,
  head: string,
  options: { isCut: boolean },
): ResultFormat | undefined {
  if (/\.xml$/i.test(name)) return isJunitXml(head) ? "junit" : undefined;
  if (/\.csv$/i.test(name)) return isDeqpCsv(head, options) ? "deqp" : undefined;
  const lines = head.split("\n").map((line) => parseTapLine(line.trimEnd()));
  if (lines.some(({ kind }) => kind === "version")) return "tap";
  const isNamedTap = /\.k?tap$/i.test(name);
  if (isNamedTap && lines.some(({ kind }) => kind === "plan" || kind === "result")) return "tap";
  return undefined;
}

/** deqp-runner writes its failures a second time: beside the results they are no results of their own. */
export function dropDuplicateReports(names: readonly string[]): string[] {
  const all = new Set(names);
  return names.filter((name) => {
    const whole = name.replace(/(^|\/)failures\.csv$/, "$1results.csv");
    return whole === name || !all.has(whole);
  });
}
