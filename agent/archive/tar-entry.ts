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

export interface TarEntry {
  /** As in the archive: it may be absolute and have "./", "..", doubled or trailing slashes. */
  path: string;
  type: TarEntryType;
  /** The twelve permission bits. */
  mode: number;
  uid: number;
  gid: number;
  /** Of the content that follows; zero for everything but files. */
  sizeBytes: number;
  mtime: TarTime;
  /** The target of a symlink, or for a hard link the path of another member; else empty. */
  linkPath: string;
  devMajor: number;
  devMinor: number;
  xattrs: ReadonlyMap<string, Buffer>;
}

/** The bytes of a latin1 path. */
export function pathBytes(path: string): Buffer {
  return Buffer.from(path, "latin1");
}

const SHOWN_MAX_CHARACTERS = 200;

/** Formats a path for people: quoted, as UTF-8 where it is valid, shortened where it is long. */
export function showPath(path: string): string {
  const decoded = pathBytes(path).toString("utf8");
  const text = decoded.includes("\ufffd") ? path : decoded;
  return JSON.stringify(truncate(text, SHOWN_MAX_CHARACTERS));
}
