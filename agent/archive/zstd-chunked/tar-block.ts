/**
 * Decodes a tar header block: POSIX ustar and pax, GNU, star and V7, by the rules of Go's archive/tar.
 * zstd:chunked needs the raw blocks too, which tar-stream does not return.
 */

import { AgentError } from "../../errors.ts";
import type { TarEntry, TarTime } from "../tar-entry.ts";
import { type DecodedHeader, type PaxFields, readTarEntry } from "../tar-header.ts";

export const TAR_BLOCK_BYTES = 512;

export interface TarBlock {
  typeFlag: string;
  name: string;
  linkName: string;
  mode: number;
  uid: number;
  gid: number;
  sizeBytes: number;
  mtimeSec: number;
  devMajor: number;
  devMinor: number;
  accessTimeSec: number | undefined;
  changeTimeSec: number | undefined;
}

/** A member of an archive, and what a TOC contains of it besides the entry. */
export interface TarMember {
  entry: TarEntry;
  /** The whole mode field; some writers add the file type. */
  rawMode: number;
  /** The size field; also members without content may have one. */
  statedSizeBytes: number;
  accessTime: TarTime | undefined;
  changeTime: TarTime | undefined;
}

export type MemberPax = PaxFields & { atime: TarTime | undefined; ctime: TarTime | undefined };

const CHECKSUM_START = 148;
const CHECKSUM_BYTES = 8;
const MAGIC_START = 257;
const TYPE_NAMES: Readonly<Record<string, string>> = {
  "0": "file",
  "\0": "file",
  "1": "link",
  "2": "symlink",
  "3": "character-device",
  "4": "block-device",
  "5": "directory",
  "6": "fifo",
  "7": "contiguous-file",
};
const ZERO_BLOCK = Buffer.alloc(TAR_BLOCK_BYTES);

export function isZeroBlock(block: Buffer): boolean {
  return block.equals(ZERO_BLOCK);
}

/** Throws ARCHIVE_CORRUPT. */
export function parseTarBlock(block: Buffer): TarBlock {
  checkSum(block);
  const text = block.toString("latin1");
  const format = findFormat(text);
  const readText = (start: number, length: number) => cutAtNul(text.slice(start, start + length));
  const readNumber = (start: number, length: number) => parseNumber(block, start, length);
  const times = format === "gnu" ? readGnuTimes(block) : format === "star" ? readStarTimes(block) : undefined;
  const prefix =
    format === "ustar" || (format === "gnu" && times === undefined)
      ? readText(345, 155)
      : format === "star"
        ? readText(345, 131)
        : "";
  const name = readText(0, 100);
  return {
    typeFlag: text[156]!,
    name: prefix === "" ? name : `${prefix}/${name}`,
    linkName: readText(157, 100),
    mode: readNumber(100, 8),
    uid: readNumber(108, 8),
    gid: readNumber(116, 8),
    sizeBytes: readNumber(124, 12),
    mtimeSec: readNumber(136, 12),
    devMajor: format === "v7" ? 0 : readNumber(329, 8),
    devMinor: format === "v7" ? 0 : readNumber(337, 8),
    accessTimeSec: times?.access,
    changeTimeSec: times?.change,
  };
}

/** Combines a header block with the extended headers before it. Throws ARCHIVE_CORRUPT or ARCHIVE_UNSUPPORTED_MEMBER. */
export function describeMember(
  block: TarBlock,
  pax: MemberPax | undefined,
  longName: string | undefined,
  longLinkName: string | undefined,
): TarMember {
  const name = longName ?? pax?.path ?? block.name;
  const isOldDirectory = block.typeFlag === "\0" && name.endsWith("/");
  const type = isOldDirectory ? "directory" : (TYPE_NAMES[block.typeFlag] ?? null);
  const statedSizeBytes = pax?.size === undefined ? block.sizeBytes : Number(pax.size);
  const hasContent = type === "file" || type === "contiguous-file";
  const isDevice = type === "character-device" || type === "block-device";
  const header: DecodedHeader = {
    name,
    type,
    size: hasContent ? statedSizeBytes : 0,
    mode: block.mode,
    uid: block.uid,
    gid: block.gid,
    mtime: new Date(0),
    linkname: longLinkName ?? pax?.linkpath ?? block.linkName,
    devmajor: isDevice ? block.devMajor : 0,
    devminor: isDevice ? block.devMinor : 0,
    pax: null,
  };
  const mtime = pax?.mtime ?? { sec: block.mtimeSec, nsec: 0 };
  const entry = readTarEntry(header, { xattrs: new Map(), isSparse: false, ...pax, mtime });
  const seconds = (sec: number | undefined) => (sec === undefined ? undefined : { sec, nsec: 0 });
  return {
    entry,
    rawMode: block.mode,
    statedSizeBytes,
    accessTime: pax?.atime ?? seconds(block.accessTimeSec),
    changeTime: pax?.ctime ?? seconds(block.changeTimeSec),
  };
}

/** The sum of all bytes with the checksum's own as spaces; old writers added signed bytes. */
function checkSum(block: Buffer): void {
  let unsigned = CHECKSUM_BYTES * SPACE;
  let negatives = 0;
  for (let index = 0; index < TAR_BLOCK_BYTES; index++) {
    if (index === CHECKSUM_START) index += CHECKSUM_BYTES;
    unsigned += block[index]!;
    negatives += block[index]! >> 7;
  }
  const stated = parseNumber(block, CHECKSUM_START, CHECKSUM_BYTES);
  if (stated !== unsigned && stated !== unsigned - 256 * negatives)
    throw corruptTar("a header block's checksum is wrong");
}

function findFormat(block: string): "ustar" | "star" | "gnu" | "v7" {
  if (block.startsWith("ustar\0", MAGIC_START)) return block.endsWith("tar\0") ? "star" : "ustar";
  return block.startsWith("ustar  \0", MAGIC_START) ? "gnu" : "v7";
}

/** Undefined where an old Go writer put a ustar prefix in place of the times (golang/go#12594). */
function readGnuTimes(block: Buffer): { access: number | undefined; change: number | undefined } | undefined {
  const read = (start: number) => (block[start] === 0 ? undefined : parseNumber(block, start, 12));
  try {
    return { access: read(345), change: read(357) };
  } catch {
    return undefined;
  }
}

function readStarTimes(block: Buffer): { access: number; change: number } {
  return { access: parseNumber(block, 476, 12), change: parseNumber(block, 488, 12) };
}

/** Octal digits between spaces and NULs, or GNU's base 256 in two's complement. */
function parseNumber(block: Buffer, start: number, length: number): number {
  const end = start + length;
  if ((block[start]! & 0x80) !== 0) return parseBase256(block.subarray(start, end));
  let at = start;
  while (at < end && isPadding(block[at]!)) at++;
  let value = 0;
  for (; at < end && block[at] !== 0; at++) {
    const digit = block[at]! - DIGIT_ZERO;
    if (digit < 0 || digit > 7) break;
    value = value * 8 + digit;
  }
  // A NUL ends the field; before it, only spaces may follow the digits.
  for (; at < end && block[at] !== 0; at++)
    if (block[at] !== SPACE) throw corruptTar("a number in a header block is not octal");
  return value;
}

const SPACE = 0x20;
const DIGIT_ZERO = 0x30;
const isPadding = (byte: number): boolean => byte === SPACE || byte === 0;

function parseBase256(field: Buffer): number {
  const isNegative = (field[0]! & 0x40) !== 0;
  let value = BigInt(field[0]! & 0x3f);
  for (const byte of field.subarray(1)) value = (value << 8n) | BigInt(byte);
  if (isNegative) value -= 1n << BigInt(8 * field.length - 2);
  const number = Number(value);
  if (!Number.isSafeInteger(number)) throw corruptTar("a number in a header block is too large");
  return number;
}

function cutAtNul(text: string): string {
  const end = text.indexOf("\0");
  return end < 0 ? text : text.slice(0, end);
}

export function corruptTar(why: string): AgentError {
  return new AgentError("ARCHIVE_CORRUPT", `Cannot read a tar archive: ${why}`);
}
