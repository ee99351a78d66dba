/**
 * Reads a numbered log in any form it is kept in: plain numbered lines (HTTP, S3), syslog messages a line each, frames of RFC 6587.
 * Lines that came twice are one, pieces of a line are joined, and what is missing is known by its numbers.
 */
import { type NumberedLine, parseNumberedLine } from "../../agent/wire/numbered-line.ts";
import { parseSyslogMessage } from "../../agent/wire/syslog.ts";

/** A whole line, or what there is of it. */
export interface WholeLine {
  /** Of its first piece. */
  number: number;
  text: Buffer;
}

export interface BootLog {
  boot: string;
  /** In the order of their numbers. */
  lines: WholeLine[];
  /** Numbers that are not there, below the last one that is. */
  missing: number;
}

/** Of one file; what is no numbered line is passed over. */
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

/** Every boot that the lines are of, in the order that they came in. */
export function assembleBoots(lines: Iterable<NumberedLine>): BootLog[] {
  const boots = new Map<string, Map<number, NumberedLine>>();
  for (const line of lines) {
    const boot = boots.get(line.boot) ?? new Map<number, NumberedLine>();
    boots.set(line.boot, boot);
    const known = boot.get(line.number);
    // Of a line that a break cut, the other copy is the longer one.
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

/** Where a server has put lines behind one that a break cut, they stand in one. */
const RESUMED = /[0-9a-f]{8} [1-9]\d{0,15}~?\+? \d{1,12}\.\d{3} /g;

function* readLine(bytes: Buffer): Generator<NumberedLine> {
  const line = parseNumberedLine(bytes) ?? parseSyslogMessage(bytes);
  const text = bytes.toString("latin1");
  for (const { index } of text.matchAll(RESUMED)) {
    const resumed = index === 0 ? undefined : parseNumberedLine(bytes.subarray(index));
    // Nobody goes on with a later line than the one that was cut.
    if (!resumed || (line && (resumed.boot !== line.boot || resumed.number > line.number))) continue;
    if (line) yield { ...line, text: line.text.subarray(0, index - (bytes.length - line.text.length)) };
    yield resumed;
    return;
  }
  if (line) yield line;
}

/** At most one line is open at a time, whatever comes in between. */
function joinPieces(lines: readonly NumberedLine[]): WholeLine[] {
  const whole: (WholeLine & { pieces?: Buffer[] })[] = [];
  let open: (WholeLine & { pieces?: Buffer[] }) | undefined;
  for (const { number, part, text } of lines) {
    if (part === "whole") {
      whole.push({ number, text });
      continue;
    }
    // Where the beginning is missing, the rest is a line of its own.
    if (part === "start" || !open) {
      open = { number, text, pieces: [] };
      whole.push(open);
    }
    open.pieces!.push(text);
    if (part === "end") open = undefined;
  }
  return whole.map(({ number, text, pieces }) => ({ number, text: pieces ? Buffer.concat(pieces) : text }));
}
