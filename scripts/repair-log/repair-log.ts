/**
 * Repairs a serial log from the numbered one: lines that it lacks are put in, in place of torn ones and of notes about lines that were
 * left out. What only the serial log has (a boot loader's words, a line that nothing explains) stays where it was.
 */
import { alignLines } from "./align-lines.ts";
import type { BootLog, WholeLine } from "./read-network-log.ts";

export interface RepairReport {
  /** Of the serial log, as it was. */
  serialLines: number;
  networkLines: number;
  /** Put in. */
  restored: number;
  /** Lines of the serial log that stood for others, and were taken out. */
  torn: number;
  /** Notes about lines that were left out, taken out. */
  notes: number;
  /** Numbers that the network's log lacks. */
  missing: number;
}

export function repairLog(
  serial: Buffer,
  boots: readonly BootLog[],
): { lines: Buffer[]; report: RepairReport } {
  const old = splitLines(serial);
  const ours = chooseBoots(serial, boots);
  const all = ours.flatMap(({ lines }) => lines);
  const oldKeys = old.map(makeKey);
  const newKeys = all.map(({ text }) => makeKey(text));
  const matches = alignLines(oldKeys, newKeys);
  const moved = findMoved(oldKeys, newKeys, matches);
  const report: RepairReport = {
    serialLines: old.length,
    networkLines: all.length,
    restored: 0,
    torn: 0,
    notes: 0,
    missing: ours.reduce((sum, { missing }) => sum + missing, 0),
  };
  const isFound = new Set(matches.map(([, newLine]) => newLine));
  const isAbsent = (at: number) => at in newKeys && !isFound.has(at) && !moved.newLines.has(at);
  /** What torn lines may be pieces of: absent lines at both ends of a gap, also beyond, for lines like another match at once. */
  const gatherNear = (from: number, to: number): string => {
    const near = new Set<number>();
    for (const end of [from, to])
      for (let at = end - NEAR_LINES; at < end + NEAR_LINES; at++) if (isAbsent(at)) near.add(at);
    return near.size === 0 ? "" : `\n${[...near].map((at) => newKeys[at] ?? "").join("\n")}\n`;
  };
  const lines: Buffer[] = [];
  let [oldAt, newAt] = [0, 0];
  for (const [oldMatch, newMatch] of [...matches, [old.length, all.length] as const]) {
    const absent = all.slice(newAt, newMatch).filter((_, index) => isAbsent(newAt + index));
    const gap = old.slice(oldAt, oldMatch).map((bytes, index): GapLine => {
      const at = oldAt + index;
      return { bytes, key: oldKeys[at] ?? "", isMoved: moved.oldLines.has(at) };
    });
    const near = gap.length === 0 ? "" : gatherNear(newAt, newMatch);
    fillGap(gap, { absent, near }, lines, report);
    if (oldMatch < old.length) lines.push(old[oldMatch]!);
    oldAt = oldMatch + 1;
    newAt = newMatch + 1;
  }
  return { lines, report };
}

/** Those that the serial log tells of, as it does; without any, all. */
function chooseBoots(serial: Buffer, boots: readonly BootLog[]): BootLog[] {
  const found = boots
    .map((log) => ({ log, at: serial.indexOf(log.boot) }))
    .filter(({ at }) => at !== -1)
    .sort((one, other) => one.at - other.at);
  return found.length > 0 ? found.map(({ log }) => log) : [...boots];
}

const LINE_END = 0x0a;

/** Without their line ends. */
function splitLines(bytes: Buffer): Buffer[] {
  const lines: Buffer[] = [];
  for (let at = 0; at < bytes.length; ) {
    const found = bytes.indexOf(LINE_END, at);
    const end = found === -1 ? bytes.length : found;
    let textEnd = end;
    while (textEnd > at && bytes[textEnd - 1] === 0x0d) textEnd--;
    lines.push(bytes.subarray(at, textEnd));
    at = end + 1;
  }
  return lines;
}

const SEQUENCE = /\x1b\[[\d;:?]*[A-Za-z]/g;
/** What a console shows of a control byte, and the byte itself; both are nothing here. */
const CONTROL =
  /\\x[0-9a-f]{2}|[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufffd]/g;

/** What of a line is the same, whatever the console made of it; undefined for an empty one. */
function makeKey(line: Buffer): string | undefined {
  let text = line.toString();
  if (!PLAIN.test(text)) {
    const states = text.replace(SEQUENCE, "").split("\r");
    text = (states.findLast((state) => state.trim() !== "") ?? "").replace(CONTROL, "");
  }
  text = text.replace(/^\| /, "").replace(/\s+/g, " ").trim();
  return text === "" ? undefined : text;
}

const PLAIN = /^[\t\x20-\x5b\x5d-\x7e]*$/;

/** Apart by this much at most: the kernel's lines overtake the agent's on the console. */
const MOVED_LINES = 200;

/** Lines that both have, but not in the same order. */
function findMoved(
  oldKeys: readonly (string | undefined)[],
  newKeys: readonly (string | undefined)[],
  matches: readonly (readonly [number, number])[],
): { oldLines: Set<number>; newLines: Set<number> } {
  const moved = { oldLines: new Set<number>(), newLines: new Set<number>() };
  const matched = new Map(matches);
  /** Unmatched lines of the serial log by key, with the place in the other that they stand at. */
  const waiting = new Map<string, { old: number; place: number }[]>();
  let place = 0;
  oldKeys.forEach((key, old) => {
    const match = matched.get(old);
    if (match !== undefined) place = match;
    else if (key !== undefined) waiting.set(key, [...(waiting.get(key) ?? []), { old, place }]);
  });
  const taken = new Set(matched.values());
  newKeys.forEach((key, at) => {
    if (key === undefined || taken.has(at)) return;
    const list = waiting.get(key);
    const index = list?.findIndex((each) => Math.abs(each.place - at) <= MOVED_LINES) ?? -1;
    if (index === -1) return;
    moved.oldLines.add(list!.splice(index, 1)[0]!.old);
    moved.newLines.add(at);
  });
  return moved;
}

interface GapLine {
  bytes: Buffer;
  key: string;
  isMoved: boolean;
}

const NOTE = /… [\d,]+ lines? not shown|\[dutboot: \d+ bytes of (?:output|the log) left out here/;
/** Torn lines stand at the ends of what is missing. */
const NEAR_LINES = 100;

/** `absent` takes the place of the first line in the gap that stands for it; where there is none, it comes behind them. */
function fillGap(
  gap: readonly GapLine[],
  { absent, near }: { absent: readonly WholeLine[]; near: string },
  lines: Buffer[],
  report: RepairReport,
): void {
  let isFilled = false;
  const fill = () => {
    if (!isFilled) for (const { text } of absent) lines.push(text);
    isFilled = true;
  };
  gap.forEach(({ bytes, key, isMoved }, index) => {
    const isNear = index < NEAR_LINES || index >= gap.length - NEAR_LINES;
    const isNote = absent.length > 0 && NOTE.test(key);
    const isTorn = near !== "" && isNear && !isMoved && !isNote && isPieceOf(key, near);
    if (!isNote && !isTorn) {
      lines.push(bytes);
      return;
    }
    if (isNote) report.notes++;
    else report.torn++;
    fill();
  });
  fill();
  report.restored += absent.length;
}

/** Pieces below this length are found anywhere. */
const PIECE_MIN_LENGTH = 6;
/** Some letters are lost or wrong where a line is torn. */
const PIECE_SHARE = 0.7;

/** Whether a line is mostly made of pieces of `text`, whose lines stand between line ends. */
function isPieceOf(line: string, text: string): boolean {
  if (line.length < PIECE_MIN_LENGTH)
    return line !== "" && (text.includes(`\n${line}`) || text.includes(`${line}\n`));
  let covered = 0;
  for (let at = 0; at + PIECE_MIN_LENGTH <= line.length; ) {
    let length = PIECE_MIN_LENGTH;
    if (!text.includes(line.slice(at, at + length))) {
      at++;
      continue;
    }
    while (at + length < line.length && text.includes(line.slice(at, at + length + 1))) length++;
    covered += length;
    at += length;
  }
  return covered >= line.length * PIECE_SHARE;
}
