/**
 * One line of the network log in HTTP requests and S3 objects: `BOOT NUMBER SECONDS TEXT`. Numbers start with 1 at every boot and have no
 * gaps, so that a reader recognizes missing and repeated lines.
 */

/** A whole line, or a part of one that is long or still open. */
export type LinePart = "whole" | "start" | "middle" | "end";

export interface NumberedLine {
  /** 8 lower-case hex digits, random for each boot. */
  boot: string;
  /** From 1. */
  number: number;
  uptimeMs: number;
  part: LinePart;
  /** The original bytes without the line end. */
  text: Buffer;
}

/** Consecutive lines in one request (HTTP) or object (S3). */
export interface LogPart {
  /** `log-1a2b3c4d-00001.txt`: unique, and sorted as the lines are. */
  name: string;
  boot: string;
  firstNumber: number;
  /** Whole numbered lines; ends with the part. */
  body: AsyncIterable<Buffer>;
}

/** `17+` is continued by a later number, `18~` continues an earlier one, `18~+` both. */
const MARK: Readonly<Record<LinePart, string>> = { whole: "", start: "+", middle: "~+", end: "~" };
const PART: Readonly<Record<string, LinePart>> = { "": "whole", "+": "start", "~+": "middle", "~": "end" };

const LINE = /^([0-9a-f]{8}) ([1-9]\d{0,15})(~?\+?) (\d{1,12})\.(\d{3}) /;
/** The longest head that LINE matches. */
const HEAD_MAX_BYTES = 48;

/** With a line end. */
export function formatNumberedLine({ boot, number, uptimeMs, part, text }: NumberedLine): Buffer {
  const head = `${boot} ${number}${MARK[part]} ${(uptimeMs / 1000).toFixed(3)} `;
  return Buffer.concat([Buffer.from(head), text, LINE_END]);
}

const LINE_END = Buffer.from("\n");

/** undefined when `bytes` is not such a line, without its line end. */
export function parseNumberedLine(bytes: Buffer): NumberedLine | undefined {
  const match = LINE.exec(bytes.toString("latin1", 0, HEAD_MAX_BYTES));
  if (!match) return undefined;
  const [head, boot, number, mark, seconds, milliseconds] = match;
  return {
    boot: boot!,
    number: Number(number),
    uptimeMs: Number(seconds) * 1000 + Number(milliseconds),
    part: PART[mark!]!,
    text: bytes.subarray(head.length),
  };
}
