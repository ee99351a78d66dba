/**
 * Builds a TarEntry from a header block that tar-stream decoded, and the pax records before it.
 * Sparse files and members of unknown types are refused: their content would be garbage.
 */
import { AgentError } from "../errors.ts";
import { type PaxRecords, parsePaxTime } from "./pax-records.ts";
import { showPath, type TarEntry, type TarEntryType, type TarTime } from "./tar-entry.ts";

/** The header as tar-stream decodes it; invalid numbers are NaN or null. */
export interface DecodedHeader {
  name: string;
  type: string | null;
  size: number;
  mode: number;
  uid: number;
  gid: number;
  mtime: Date;
  linkname: string | null;
  devmajor: number;
  devminor: number;
  pax: PaxFields | null;
}

/** The values of pax records; tar-stream itself uses the first three. */
export interface PaxFields {
  path?: string;
  linkpath?: string;
  size?: string;
  uid?: number;
  gid?: number;
  mtime?: TarTime;
  xattrs: ReadonlyMap<string, Buffer>;
  isSparse: boolean;
}

const TYPES: Readonly<Record<string, TarEntryType>> = {
  file: "file",
  "contiguous-file": "file",
  link: "hardlink",
  symlink: "symlink",
  "character-device": "char",
  "block-device": "block",
  directory: "directory",
  fifo: "fifo",
};

const XATTR_PREFIX = "SCHILY.xattr.";
const NO_XATTRS: ReadonlyMap<string, Buffer> = new Map();

/** The fields of a pax header, merged over those of the global header; an empty value removes a field (POSIX). */
export function readPaxFields(records: PaxRecords, global: PaxFields | null): PaxFields {
  const xattrs = new Map(global?.xattrs);
  let isSparse = global?.isSparse ?? false;
  for (const [key, value] of records) {
    if (key.startsWith(XATTR_PREFIX)) {
      xattrs.set(key.slice(XATTR_PREFIX.length), Buffer.from(value, "latin1"));
    } else if (key.startsWith("GNU.sparse.") || key === "SCHILY.realsize") isSparse = true;
  }
  const pick = <T>(key: string, inherited: T | undefined, parse: (text: string) => T | undefined) => {
    const text = records.get(key);
    if (text === undefined) return inherited;
    if (text === "") return undefined;
    const value = parse(text);
    if (value === undefined) throw createCorruptError(`invalid pax ${key} "${text.slice(0, 40)}"`);
    return value;
  };
  const path = pick("path", undefined, (text) => text);
  const linkpath = pick("linkpath", undefined, (text) => text);
  const size = pick("size", undefined, (text) => (/^\d{1,16}$/.test(text) ? text : undefined));
  const uid = pick("uid", global?.uid, parseId);
  const gid = pick("gid", global?.gid, parseId);
  const mtime = pick("mtime", global?.mtime, parsePaxTime);
  return { path, linkpath, size, uid, gid, mtime, xattrs, isSparse };
}

/** Throws ARCHIVE_CORRUPT and ARCHIVE_UNSUPPORTED_MEMBER. */
export function readTarEntry(header: DecodedHeader, pax: PaxFields | null): TarEntry {
  const type = header.type === null ? undefined : TYPES[header.type];
  if (type === undefined || pax?.isSparse) {
    throw new AgentError(
      "ARCHIVE_UNSUPPORTED_MEMBER",
      `Cannot unpack ${showPath(header.name)}: it is a sparse file or has an unknown type`,
    );
  }
  if (header.name.includes("\0") || header.linkname?.includes("\0")) {
    throw createCorruptError(`NUL in the name of ${showPath(header.name)}`);
  }
  const count = (field: string, value: number, max: number) => {
    if (Number.isSafeInteger(value) && value >= 0 && value <= max) return value;
    throw createCorruptError(`invalid ${field} of ${showPath(header.name)}`);
  };
  return {
    path: header.name,
    type,
    mode: count("mode", header.mode, Number.MAX_SAFE_INTEGER) % 0o10000,
    uid: count("uid", pax?.uid ?? header.uid, ID_MAX),
    gid: count("gid", pax?.gid ?? header.gid, ID_MAX),
    sizeBytes: count("size", header.size, Number.MAX_SAFE_INTEGER),
    mtime: pax?.mtime ?? { sec: readSeconds(header), nsec: 0 },
    linkPath: header.linkname ?? "",
    devMajor: count("device number", header.devmajor, 0xfff),
    devMinor: count("device number", header.devminor, 0xfffff),
    xattrs: pax?.xattrs ?? NO_XATTRS,
  };
}

/** The largest uid_t; the kernel takes the value above it as "unchanged". */
const ID_MAX = 0xfffffffe;

function parseId(text: string): number | undefined {
  return /^\d{1,10}$/.test(text) ? Number(text) : undefined;
}

function readSeconds(header: DecodedHeader): number {
  const seconds = header.mtime.getTime() / 1000;
  if (!Number.isFinite(seconds)) throw createCorruptError(`invalid time of ${showPath(header.name)}`);
  // tar-stream reads the two's complement in GNU's base-256 fields as a ones' complement: the result is one too large.
  return seconds < 0 ? seconds - 1 : seconds;
}

export function createCorruptError(reason: string, cause?: Error): AgentError {
  return new AgentError("ARCHIVE_CORRUPT", `Cannot read the tar archive: ${reason}`, { cause });
}
