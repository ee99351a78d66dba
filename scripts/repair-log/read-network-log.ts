/**
 * Reads a numbered log in any of its formats: plain numbered lines (HTTP, S3), syslog messages one per line, frames of RFC 6587.
 * Duplicate lines are dropped, pieces of a line are joined, and missing lines are counted by their numbers.
 */
import { type NumberedLine, parseNumberedLine } from "../../agent/wire/numbered-line.ts";
import { parseSyslogMessage } from "../../agent/wire/syslog.ts";

/** A complete line, or as much of it as was received. */
export interface LoggedLine {
  /** Of its first piece. */
  number: number;
  text: Buffer;
}

export interface BootLog {
  boot: string;
  /** Sorted by number. */
  lines: LoggedLine[];
  /** How many numbers below the last one are missing. */
  missing: number;
}

/** The numbered lines of one file; everything else is ignored. */
export function* readNetworkLines(bytes: Buffer): Generator<NumberedLine> {
  for (let at = 0; at < bytes.length; ) {
    const frame = findFrame(bytes, at);
    const lineEnd = bytes.indexOf(LINE_END, at);
    const end = frame ? frame.end : lineEnd === -1 ? bytes.length : lineEnd;
    const content = bytes.subarray(frame ? frame.start : at, end);
    if (frame) {
      const line = parseSyslogMessage(content);
      if (line) yield line;
    } else yield* readLine(content);
    at = end;
    if (bytes[at] === LINE_END) at++;
  }
}

/** Groups the lines by boot, in the order in which the boots appear. */
export function assembleBoots(lines: Iterable<NumberedLine>): BootLog[] {
  const boots = new Map<string, Map<number, NumberedLine>>();
  for (const line of lines) {
    const boot = boots.get(line.boot) ?? new Map<number, NumberedLine>();
    boots.set(line.boot, boot);
    const known = boot.get(line.number);
    // Where an interruption cut a line, the other copy is longer.
    if (!known || known.text.length < line.text.length) boot.set(line.number, line);
  }
  return [...boots].map(([boot, byNumber]) => {
    const numbered = [...byNumber.values()].sort((a, b) => a.number - b.number);
    return {
      boot,
      lines: joinPieces(numbered),
      missing: numbered.length === 0 ? 0 : numbered.at(-1)!.number - numbered.length,
    };
  });
}

const LINE_END = 0x0a;
const FRAME = /^([1-9]\d{0,7}) <\d{1,3}>1 /;

function findFrame(bytes: Buffer, at: number): { start: number; end: number } | undefined {
  const first = bytes[at]!;
  if (first < 0x31 || first > 0x39) return undefined;
  const match = FRAME.exec(bytes.toString("latin1", at, at + 20));
  if (!match) return undefined;
  const start = at + match[1]!.length + 1;
  const end = start + Number(match[1]);
  return end <= bytes.length ? { start, end } : undefined;
}

/** The start of a line that follows, in the same line of the file, another one that an interruption cut. */
const RESUMED = /[0-9a-f]{8} [1-9]\d{0,15}~?\+? \d{1,12}\.\d{3} /g;

function* readLine(bytes: Buffer): Generator<NumberedLine> {
  const line = parseNumberedLine(bytes) ?? parseSyslogMessage(bytes);
  const text = bytes.toString("latin1");
  for (const { index } of text.matchAll(RESUMED)) {
    const resumed = index === 0 ? undefined : parseNumberedLine(bytes.subarray(index));
    // The sender resumes with the line that was cut, or an earlier one.
    if (!resumed || (line && (resumed.boot !== line.boot || resumed.number > line.number))) continue;
    if (line) yield { ...line, text: line.text.subarray(0, index - (bytes.length - line.text.length)) };
    yield resumed;
    return;
  }
  if (line) yield line;
}

/** At most one line is incomplete at a time; complete lines may come between its pieces. */
function joinPieces(lines: readonly NumberedLine[]): LoggedLine[] {
  const complete: (LoggedLine & { pieces?: Buffer[] })[] = [];
  let open: (LoggedLine & { pieces?: Buffer[] }) | undefined;
  for (const { number, part, text } of lines) {
    if (part === "whole") {
      complete.push({ number, text });
      continue;
    }
    // Without its beginning the rest becomes a separate line.
    if (part === "start" || !open) {
      open = { number, text, pieces: [] };
      complete.push(open);
    }
    open.pieces!.push(text);
    if (part === "end") open = undefined;
  }
  return complete.map(({ number, text, pieces }) => ({
    number,
    text: pieces ? Buffer.concat(pieces) : text,
  }));
}
