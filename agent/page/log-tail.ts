/**
 * The last lines of a log, bounded in lines and bytes; a line overwritten by CR is shown in its last state.
 */
import { truncate } from "../text.ts";
import { escapeHtml, Html } from "./html.ts";

const LINES_MAX = 200;
const LINE_MAX_LENGTH = 1000;
/** Of the lines after escaping, which may multiply their size. */
const HTML_MAX_BYTES = 80 * 1024;

/** How much of the end of a log to read. */
export const LOG_TAIL_BYTES = 256 * 1024;

export interface LogTail {
  lines: readonly string[];
  /** The log has lines before these. */
  isCut: boolean;
}

/** `isCut`: the text is the end of a log and may start within a line. */
export function readLogTail(text: string, { isCut }: { isCut: boolean }): LogTail {
  const all = text.replace(/\n$/, "").split("\n");
  if (isCut) all.shift();
  const lines = all.slice(-LINES_MAX).map(showLine);
  return { lines: text === "" ? [] : lines, isCut: isCut || all.length > lines.length };
}

function showLine(line: string): string {
  const states = line.split("\r");
  const last = states.findLast((state) => state.trim() !== "") ?? "";
  return truncate(last, LINE_MAX_LENGTH);
}

/** The last lines that fit. */
export function formatLogLines({ lines, isCut }: LogTail): { content: Html; count: number; isCut: boolean } {
  const shown: string[] = [];
  let bytes = 0;
  for (const line of lines.toReversed()) {
    const escaped = escapeHtml(line);
    bytes += Buffer.byteLength(escaped) + 1;
    if (bytes > HTML_MAX_BYTES) break;
    shown.unshift(escaped);
  }
  return {
    content: new Html(shown.join("\n")),
    count: shown.length,
    isCut: isCut || shown.length < lines.length,
  };
}
