/**
 * One line of the log as it goes over the network: `BOOT NUMBER SECONDS TEXT`, the form of HTTP uploads and of S3 parts.
 * Numbers begin with 1 at every boot and have no gaps, so whoever reads them knows what is missing and what came twice.
 */

/** What a number stands for: a whole line, or a piece of one that is long or still open. */
export type LinePart = "whole" | "start" | "middle" | "end";

export interface NumberedLine {
  /** 8 lower-case hex digits, of this boot alone. */
  boot: string;
  /** From 1. */
  number: number;
  /** Of the machine, when the line came. */
  uptimeMs: number;
  part: LinePart;
  /** As it came, without its line end. */
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

/** `17`, `17+` goes on with a later number, `18~` goes on from an earlier one, `18~+` does both. */
const MARK: Readonly<Record<LinePart, string>> = { whole: "", start: "+", middle: "~+", end: "~" };
const PART: Readonly<Record<string, LinePart>> = { "": "whole", "+": "start", "~+": "middle", "~": "end" };

const LINE = /^([0-9a-f]{8}) ([1-9]\d{0,15})(~?\+?) (\d{1,12})\.(\d{3}) /;
/** Of the longest head that LINE takes. */
const HEAD_MAX_BYTES = 48;

/** With its line end. */
export function formatNumberedLine({ boot, number, uptimeMs, part, text }: NumberedLine): Buffer {
  const head = `${boot} ${number}${MARK[part]} ${(uptimeMs / 1000).toFixed(3)} `;
  return Buffer.concat([Buffer.from(head), text, LINE_END]);
}

const LINE_END = Buffer.from("\n");

/** `bytes` is one line without its line end; undefined for any other. */
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
