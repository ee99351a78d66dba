/**
 * Makes a TarEntry of what tar-stream decoded of a header block and of the pax records before it.
 * Sparse files and other members of formats we do not know are refused: their contents would come out as garbage.
 */
import { AgentError } from "../errors.ts";
import { type PaxRecords, parsePaxTime } from "./pax-records.ts";
import { showPath, type TarEntry, type TarEntryType, type TarTime } from "./tar-entry.ts";

/** tar-stream's header; numbers of broken fields are NaN or null. */
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

/** What pax records say of a member; the first three are read by tar-stream itself. */
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

/** Fields of a pax header over those of the global one; an empty value takes a field back (POSIX). */
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
    if (value === undefined) throw corrupt(`pax ${key} is "${text.slice(0, 40)}"`);
    return value;
  };
  const path = pick("path", undefined, (text) => text);
  const linkpath = pick("linkpath", undefined, (text) => text);
  const size = pick("size", undefined, (text) => (/^\d{1,16}$/.test(text) ? text : undefined));
  const uid = pick("uid", global?.uid, parseId);
  const gid = pick("gid", global?.gid, parseId);
  const mtime = pick("mtime", global?.mtime, parsePaxTime);
  return {
    path,
    linkpath,
    size,
    uid,
    gid,
    mtime,
    xattrs,
    isSparse,
  };
}

/** Throws ARCHIVE_CORRUPT and ARCHIVE_UNSUPPORTED_MEMBER. */
export function readTarEntry(header: DecodedHeader, pax: PaxFields | null): TarEntry {
  const type = header.type === null ? undefined : TYPES[header.type];
  if (type === undefined || pax?.isSparse) {
    throw new AgentError(
      "ARCHIVE_UNSUPPORTED_MEMBER",
      `Cannot unpack ${showPath(header.name)}: it is a sparse file or of a type that not every tar knows`,
    );
  }
  if (header.name.includes("\0") || header.linkname?.includes("\0")) {
    throw corrupt(`the name of ${showPath(header.name)} holds a NUL`);
  }
  const count = (field: string, value: number, max: number) => {
    if (Number.isSafeInteger(value) && value >= 0 && value <= max) return value;
    throw corrupt(`${field} of ${showPath(header.name)} is no number, or none that fits`);
  };
  return {
    path: header.name,
    type,
    mode: count("the mode", header.mode, Number.MAX_SAFE_INTEGER) % 0o10000,
    uid: count("the uid", pax?.uid ?? header.uid, ID_MAX),
    gid: count("the gid", pax?.gid ?? header.gid, ID_MAX),
    sizeBytes: count("the size", header.size, Number.MAX_SAFE_INTEGER),
    mtime: pax?.mtime ?? { sec: readSeconds(header), nsec: 0 },
    linkPath: header.linkname ?? "",
    devMajor: count("the device", header.devmajor, 0xfff),
    devMinor: count("the device", header.devminor, 0xfffff),
    xattrs: pax?.xattrs ?? NO_XATTRS,
  };
}

/** The kernel's uid_t without the value that means "leave as it is". */
const ID_MAX = 0xfffffffe;

function parseId(text: string): number | undefined {
  return /^\d{1,10}$/.test(text) ? Number(text) : undefined;
}

function readSeconds(header: DecodedHeader): number {
  const seconds = header.mtime.getTime() / 1000;
  if (!Number.isFinite(seconds)) throw corrupt(`the time of ${showPath(header.name)} is no number`);
  // tar-stream reads the two's complement of GNU's base-256 fields as a ones' complement: one too many.
  return seconds < 0 ? seconds - 1 : seconds;
}

function corrupt(why: string): AgentError {
  return new AgentError("ARCHIVE_CORRUPT", `Cannot read a tar archive: ${why}`);
}
