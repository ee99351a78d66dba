/**
 * Repairs a serial log with the numbered log: inserts the missing lines, in place of damaged lines and of notes about omitted
 * lines. Lines that only the serial log has (those of the boot loader, or unknown ones) stay where they are.
 */
import { alignLines } from "./align-lines.ts";
import type { BootLog, LoggedLine } from "./read-network-log.ts";

export interface RepairReport {
  /** Before the repair. */
  serialLines: number;
  networkLines: number;
  /** Inserted lines. */
  restored: number;
  /** Damaged lines that were removed from the serial log. */
  damaged: number;
  /** Notes about omitted lines that were removed. */
  notes: number;
  /** Lines that are missing in the network log. */
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
    damaged: 0,
    notes: 0,
    missing: ours.reduce((sum, { missing }) => sum + missing, 0),
  };
  const isFound = new Set(matches.map(([, newLine]) => newLine));
  const isAbsent = (at: number) => at in newKeys && !isFound.has(at) && !moved.newLines.has(at);
  /** What damaged lines may be pieces of: absent lines near both ends of a gap, inside and outside of it, because a damaged line can match a similar one. */
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

/** The boots that the serial log mentions, in its order; all boots if it mentions none. */
function chooseBoots(serial: Buffer, boots: readonly BootLog[]): BootLog[] {
  const found = boots
    .map((log) => ({ log, at: serial.indexOf(log.boot) }))
    .filter(({ at }) => at !== -1)
    .sort((one, other) => one.at - other.at);
  return found.length > 0 ? found.map(({ log }) => log) : [...boots];
}

const LINE_END = 0x0a;

/** Without line ends. */
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
/** Control bytes and their escaped form on a console; both are ignored. */
const CONTROL =
  /\\x[0-9a-f]{2}|[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufffd]/g;

/** The part of a line that does not depend on the console; undefined for an empty line. */
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

/** How far a line may have moved: the kernel's lines overtake the agent's on the console. */
const MOVED_LINES = 200;

/** Lines that both logs have, in a different order. */
function findMoved(
  oldKeys: readonly (string | undefined)[],
  newKeys: readonly (string | undefined)[],
  matches: readonly (readonly [number, number])[],
): { oldLines: Set<number>; newLines: Set<number> } {
  const moved = { oldLines: new Set<number>(), newLines: new Set<number>() };
  const matched = new Map(matches);
  /** Unmatched lines of the serial log by key, with their position in the network log. */
  const waiting = new Map<string, { old: number; position: number }[]>();
  let position = 0;
  oldKeys.forEach((key, old) => {
    const match = matched.get(old);
    if (match !== undefined) position = match;
    else if (key !== undefined) waiting.set(key, [...(waiting.get(key) ?? []), { old, position }]);
  });
  const matchedNew = new Set(matched.values());
  newKeys.forEach((key, at) => {
    if (key === undefined || matchedNew.has(at)) return;
    const list = waiting.get(key);
    const index = list?.findIndex((each) => Math.abs(each.position - at) <= MOVED_LINES) ?? -1;
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
/** Damaged lines are at the ends of a gap. */
const NEAR_LINES = 100;

/** Inserts the absent lines in place of the first damaged line or note in the gap, or at the end of the gap if there is none. */
function fillGap(
  gap: readonly GapLine[],
  { absent, near }: { absent: readonly LoggedLine[]; near: string },
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
    else report.damaged++;
    fill();
  });
  fill();
  report.restored += absent.length;
}

/** Shorter pieces would match anywhere. */
const PIECE_MIN_LENGTH = 6;
/** A damaged line has lost or wrong characters. */
const PIECE_SHARE = 0.7;

/** Whether a line consists mostly of pieces of `text`, which starts and ends with a line end. */
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
