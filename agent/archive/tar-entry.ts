/**
 * One member of a tar archive, with all that pax and GNU headers say of it.
 * Paths and xattr names are latin1 text, one character a byte, so that no byte is lost; nothing is normalised here.
 */
import { truncate } from "../text.ts";

export type TarEntryType = "file" | "directory" | "symlink" | "hardlink" | "char" | "block" | "fifo";

export interface TarTime {
  /** Since 1970, negative before it; a bigint only beyond the safe integers. */
  sec: number | bigint;
  /** 0 to 999,999,999, counted forward. */
  nsec: number;
}

export interface TarEntry {
  /** As the archive has it: perhaps absolute, with "./", "..", doubled or trailing slashes. */
  path: string;
  type: TarEntryType;
  /** The twelve permission bits. */
  mode: number;
  uid: number;
  gid: number;
  /** Of the content that follows; zero for all but files. */
  sizeBytes: number;
  mtime: TarTime;
  /** Symlinks: what the link holds. Hard links: the path of another member. Empty for others. */
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

/** A path for people: in quotes, as UTF-8 where it is, cut where it is endless. */
export function showPath(path: string): string {
  const text = pathBytes(path).toString("utf8");
  const shown = text.includes("\ufffd") ? path : text;
  return JSON.stringify(truncate(shown, SHOWN_MAX_CHARACTERS));
}
