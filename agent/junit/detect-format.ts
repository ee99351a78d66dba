/**
 * Detects files with test results by name and first bytes; a name alone is not enough.
 */
import { isDeqpCsv } from "./deqp-csv.ts";
import { parseTapLine } from "./tap-line.ts";
import { isJunitXml } from "./xml-reader.ts";

export type ResultFormat = "junit" | "tap" | "deqp";

/** How many of a file's first bytes to read. */
export const SNIFF_BYTES = 64 * 1024;

/** Other files need not be opened. */
export function mayHoldResults(name: string): boolean {
  return /\.(?:xml|csv|tap|ktap|txt|log|out)$|(?:^|\/)[^./]+$/i.test(name);
}

/** `head`: the first bytes; `isCut`: more follow. */
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

/** Without the failures.csv that deqp-runner writes in addition to results.csv. */
export function dropDuplicateReports(names: readonly string[]): string[] {
  const all = new Set(names);
  return names.filter((name) => {
    const complete = name.replace(/(^|\/)failures\.csv$/, "$1results.csv");
    return complete === name || !all.has(complete);
  });
}
