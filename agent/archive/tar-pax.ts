/**
 * Pax extended headers, as bytes: xattr values are binary, and names need not be UTF-8.
 * POSIX.1-2024, pax, "pax Extended Header": `LENGTH KEY=VALUE\n`, LENGTH counting itself and the newline.
 */
import { AgentError } from "../errors.ts";
import { corruptTar } from "./tar-block.ts";
import { showPath, type TarMember, type TarTime } from "./tar-entry.ts";

/** Keys and values as latin1 text, one character per byte; the last value of a repeated key counts. */
export type PaxRecords = ReadonlyMap<string, string>;

const SPACE = 0x20;
const NEWLINE = 0x0a;
const EQUALS = 0x3d;
/** More digits than any length has. */
const LENGTH_MAX_DIGITS = 20;
const XATTR_PREFIX = "SCHILY.xattr.";
/** GNU's sparse format 0.0 repeats these two; as in 0.1, they become a list. */
const REPEATED = /^GNU\.sparse\.(offset|numbytes)$/;
export const SPARSE_MAP = "GNU.sparse.map";

/** Throws ARCHIVE_CORRUPT. */
export function parsePaxRecords(bytes: Buffer): PaxRecords {
  const records = new Map<string, string>();
  const map: string[] = [];
  for (let start = 0; start < bytes.length; ) {
    const space = bytes.indexOf(SPACE, start);
    const digits = bytes.toString("latin1", start, Math.min(space, start + LENGTH_MAX_DIGITS));
    const end = start + Number.parseInt(digits, 10);
    if (space < 0 || !/^[1-9]\d*$/.test(digits) || end > bytes.length || bytes[end - 1] !== NEWLINE)
      throw badHeader(`invalid length of the record at byte ${start}`);
    const equals = bytes.indexOf(EQUALS, space + 1);
    if (equals <= space + 1 || equals >= end) throw badHeader(`no key in the record at byte ${start}`);
    const key = bytes.toString("latin1", space + 1, equals);
    const value = bytes.toString("latin1", equals + 1, end - 1);
    if (REPEATED.test(key)) {
      if (key.endsWith("offset") === (map.length % 2 === 1)) throw badHeader(`${key} is out of order`);
      map.push(value);
    } else records.set(key, value);
    start = end;
  }
  if (map.length > 0) records.set(SPARSE_MAP, map.join(","));
  return records;
}

/** Changes the member: an empty value leaves the header's. Throws ARCHIVE_CORRUPT. */
export function applyPax(member: TarMember, records: PaxRecords): void {
  let xattrs: Map<string, Buffer> | undefined;
  for (const [key, value] of records) {
    if (key.startsWith(XATTR_PREFIX)) {
      xattrs ??= new Map();
      xattrs.set(key.slice(XATTR_PREFIX.length), Buffer.from(value, "latin1"));
      member.xattrs = xattrs;
      continue;
    }
    if (value === "") continue;
    const read = <T>(parsed: T | undefined): T => {
      if (parsed !== undefined) return parsed;
      throw corruptTar(`invalid pax ${key} "${value.slice(0, 40)}" of ${showPath(member.path)}`);
    };
    if (key === "path") member.path = value;
    else if (key === "linkpath") member.linkPath = value;
    else if (key === "size") member.statedSizeBytes = read(parseSize(value));
    else if (key === "uid") member.uid = read(parseId(value));
    else if (key === "gid") member.gid = read(parseId(value));
    else if (key === "mtime") member.mtime = read(parsePaxTime(value));
    else if (key === "atime") member.accessTime = read(parsePaxTime(value));
    else if (key === "ctime") member.changeTime = read(parsePaxTime(value));
  }
}

export function parseSize(text: string): number | undefined {
  const value = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
  return Number.isSafeInteger(value) ? value : undefined;
}

function parseId(text: string): number | undefined {
  return /^[-+]?\d{1,15}$/.test(text) ? Number(text) : undefined;
}

/** `[-]SECONDS[.FRACTION]`. Nanoseconds count forward: -0.25 is second -1 and 750,000,000 ns. */
export function parsePaxTime(text: string): TarTime | undefined {
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

function badHeader(reason: string): AgentError {
  return new AgentError("ARCHIVE_CORRUPT", `Cannot read a pax header: ${reason}`);
}
