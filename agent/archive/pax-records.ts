/**
 * Parses the records of a pax extended header as bytes: xattr values are binary, and names need not be UTF-8.
 * POSIX.1-2024, pax, "pax Extended Header": `LENGTH KEY=VALUE\n`, LENGTH counting itself and the newline.
 */
import { AgentError } from "../errors.ts";

/** Keys and values as latin1 text, one character per byte; the last value of a repeated key counts. */
export type PaxRecords = ReadonlyMap<string, string>;

const SPACE = 0x20;
const NEWLINE = 0x0a;
const EQUALS = 0x3d;
/** More digits than any length has. */
const LENGTH_MAX_DIGITS = 20;

/** Throws ARCHIVE_CORRUPT. */
export function parsePaxRecords(bytes: Buffer): PaxRecords {
  const records = new Map<string, string>();
  for (let start = 0; start < bytes.length; ) {
    const space = bytes.indexOf(SPACE, start);
    const digits = bytes.toString("latin1", start, Math.min(space, start + LENGTH_MAX_DIGITS));
    const end = start + Number.parseInt(digits, 10);
    if (space < 0 || !/^[1-9]\d*$/.test(digits) || end > bytes.length || bytes[end - 1] !== NEWLINE) {
      throw createCorruptError(`invalid length of the record at byte ${start}`);
    }
    const equals = bytes.indexOf(EQUALS, space + 1);
    if (equals <= space + 1 || equals >= end)
      throw createCorruptError(`no key in the record at byte ${start}`);
    records.set(bytes.toString("latin1", space + 1, equals), bytes.toString("latin1", equals + 1, end - 1));
    start = end;
  }
  return records;
}

/** `[-]SECONDS[.FRACTION]`. Nanoseconds count forward: -0.25 is second -1 and 750,000,000 ns. */
export function parsePaxTime(text: string): { sec: number | bigint; nsec: number } | undefined {
  const match = /^(-?)(\d{1,19})(?:\.(\d*))?$/.exec(text);
  if (!match) return undefined;
  const [, sign, whole, fraction = ""] = match;
  const nsec = Number(fraction.slice(0, 9).padEnd(9, "0"));
  const seconds = BigInt(whole!);
  if (!sign) return { sec: narrow(seconds), nsec };
  return nsec === 0 ? { sec: narrow(-seconds), nsec } : { sec: narrow(-seconds - 1n), nsec: 1e9 - nsec };
}

function narrow(seconds: bigint): number | bigint {
  const number = Number(seconds);
  return Number.isSafeInteger(number) ? number : seconds;
}

function createCorruptError(reason: string): AgentError {
  return new AgentError("ARCHIVE_CORRUPT", `Cannot read a pax header: ${reason}`);
}
