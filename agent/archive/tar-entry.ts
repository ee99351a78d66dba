/**
 * One member of a tar archive, with the values of its pax and GNU headers.
 * Paths and xattr names are latin1 text, one character per byte, so that no byte is lost. Nothing is normalised.
 */
import { truncate } from "../text.ts";

export type TarEntryType = "file" | "directory" | "symlink" | "hardlink" | "char" | "block" | "fifo";

export interface TarTime {
  /** Since 1970, negative before; a bigint only beyond the safe integers. */
  sec: number | bigint;
  /** 0 to 999,999,999, counted forward. */
  nsec: number;
}

/** Bytes of a sparse file that the archive has. */
export interface DataRegion {
  offset: number;
  sizeBytes: number;
}

export interface TarEntry {
  /** As in the archive: it may be absolute and have "./", "..", doubled or trailing slashes. */
  path: string;
  type: TarEntryType;
  /** The twelve permission bits. */
  mode: number;
  uid: number;
  gid: number;
  /** Of the content; zero for everything but files. */
  sizeBytes: number;
  mtime: TarTime;
  /** The target of a symlink, or for a hard link the path of another member; else empty. */
  linkPath: string;
  devMajor: number;
  devMinor: number;
  xattrs: ReadonlyMap<string, Buffer>;
}

/** With what only readers of the archive's bytes and packers need. */
export interface TarMember extends TarEntry {
  /** Of a sparse file: its data in order. Everything else in it is zeros, which the archive does not have. */
  regions: readonly DataRegion[] | undefined;
  /** The whole mode field; some writers add the file type. */
  rawMode: number;
  /** The size field; also members without content may have one. */
  statedSizeBytes: number;
  accessTime: TarTime | undefined;
  changeTime: TarTime | undefined;
}

/** The bytes of a latin1 path. */
export function pathBytes(path: string): Buffer {
  return Buffer.from(path, "latin1");
}

/** mkcomposefs counts a header for an inode's xattrs, and the worst alignment of each entry. */
const XATTR_HEADER_COST = 12;
const XATTR_ENTRY_COST = 7;

/** To be compared with XATTRS_MAX_BYTES. */
export function countXattrBytes(xattrs: ReadonlyMap<string, Buffer>): number {
  let cost = XATTR_HEADER_COST;
  for (const [name, value] of xattrs) cost += XATTR_ENTRY_COST + name.length + value.length;
  return cost;
}

const SHOWN_MAX_CHARACTERS = 200;

/** Formats a path for people: quoted, as UTF-8 where it is valid, shortened where it is long. */
export function showPath(path: string): string {
  const decoded = pathBytes(path).toString("utf8");
  const text = decoded.includes("\ufffd") ? path : decoded;
  return JSON.stringify(truncate(text, SHOWN_MAX_CHARACTERS));
}
