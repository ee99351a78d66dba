/**
 * Decodes the header blocks of a tar archive: POSIX ustar and pax, GNU, star and v7, by the rules of Go's archive/tar, which
 * podman uses.
 */
import { AgentError } from "../errors.ts";
import type { TarMember, TarTime } from "./tar-entry.ts";

export const BLOCK_BYTES = 512;

const UID_OFFSET = 108;
const GID_OFFSET = 116;
const SIZE_OFFSET = 124;
const CHECKSUM_OFFSET = 148;
const TYPE_OFFSET = 156;
const MAGIC_OFFSET = 257;
const ZERO_BLOCK = Buffer.alloc(BLOCK_BYTES);
const NO_XATTRS: ReadonlyMap<string, Buffer> = new Map();

export function isZeroBlock(block: Buffer, at: number): boolean {
  return block[at] === 0 && block.compare(ZERO_BLOCK, 0, BLOCK_BYTES, at, at + BLOCK_BYTES) === 0;
}

/** The sum of all bytes with the checksum's own as spaces; old writers added signed bytes. */
export function isChecksumRight(block: Buffer, at: number): boolean {
  const end = at + BLOCK_BYTES;
  const stated = readNumber(block, at + CHECKSUM_OFFSET, 8);
  let sum = 8 * SPACE;
  let negatives = 0;
  for (let index = at; index < end; index++) {
    const byte = block[index]!;
    sum += byte;
    negatives += byte >> 7;
  }
  for (let index = at + CHECKSUM_OFFSET; index < at + TYPE_OFFSET; index++) {
    sum -= block[index]!;
    negatives -= block[index]! >> 7;
  }
  return stated === sum || stated === sum - 256 * negatives;
}

/** One character. */
export function readType(block: Buffer, at: number): string {
  return String.fromCharCode(block[at + TYPE_OFFSET]!);
}

/** Throws ARCHIVE_CORRUPT. */
export function readSize(block: Buffer, at: number): number {
  const sizeBytes = readNumber(block, at + SIZE_OFFSET, 12);
  if (sizeBytes < 0) throw corruptTar("a member has a negative size");
  return sizeBytes;
}

export type BlockFormat = "ustar" | "star" | "gnu" | "v7";

export function findFormat(block: Buffer, at: number): BlockFormat {
  const magic = block.toString("latin1", at + MAGIC_OFFSET, at + MAGIC_OFFSET + 8);
  if (magic === "ustar  \0") return "gnu";
  if (!magic.startsWith("ustar\0")) return "v7";
  return block.toString("latin1", at + 508, at + BLOCK_BYTES) === "tar\0" ? "star" : "ustar";
}

/** A file by the header alone; the caller decides about its type. Throws ARCHIVE_CORRUPT. */
export function readMember(block: Buffer, at: number): TarMember {
  const format = findFormat(block, at);
  const times = format === "gnu" ? readGnuTimes(block, at) : undefined;
  let path = readText(block, at, 100);
  let prefixBytes = 0;
  if (format === "ustar" || (format === "gnu" && times === undefined)) prefixBytes = 155;
  else if (format === "star") prefixBytes = 131;
  if (prefixBytes > 0 && block[at + 345] !== 0) path = `${readText(block, at + 345, prefixBytes)}/${path}`;
  const rawMode = readNumber(block, at + 100, 8);
  const sizeBytes = readSize(block, at);
  const readStarTime = (offset: number) =>
    format === "star" ? { sec: readNumber(block, at + offset, 12), nsec: 0 } : undefined;
  return {
    path,
    type: "file",
    mode: rawMode & 0o7777,
    uid: readNumber(block, at + UID_OFFSET, 8),
    gid: readNumber(block, at + GID_OFFSET, 8),
    sizeBytes,
    regions: undefined,
    mtime: { sec: readNumber(block, at + 136, 12), nsec: 0 },
    linkPath: readText(block, at + 157, 100),
    devMajor: 0,
    devMinor: 0,
    xattrs: NO_XATTRS,
    rawMode,
    statedSizeBytes: sizeBytes,
    accessTime: times?.access ?? readStarTime(476),
    changeTime: times?.change ?? readStarTime(488),
  };
}

/** Only of devices: other members may have anything there. Throws ARCHIVE_CORRUPT. */
export function readDevice(block: Buffer, at: number): { major: number; minor: number } {
  if (findFormat(block, at) === "v7") return { major: 0, minor: 0 };
  return { major: readNumber(block, at + 329, 8), minor: readNumber(block, at + 337, 8) };
}

/** Undefined where an old Go writer put a ustar prefix in place of the times (golang/go#12594). */
function readGnuTimes(block: Buffer, at: number) {
  if (block[at + 345] === 0 && block[at + 357] === 0) return {};
  const read = (offset: number): TarTime | undefined =>
    block[offset] === 0 ? undefined : { sec: readNumber(block, offset, 12), nsec: 0 };
  try {
    return { access: read(at + 345), change: read(at + 357) };
  } catch {
    return undefined;
  }
}

/** Latin1, up to a NUL. */
function readText(block: Buffer, start: number, maxBytes: number): string {
  let end = start;
  while (end < start + maxBytes && block[end] !== 0) end++;
  return block.toString("latin1", start, end);
}

const SPACE = 0x20;
const DIGIT_ZERO = 0x30;

/** Octal digits between spaces and NULs, or GNU's base 256 in two's complement. Throws ARCHIVE_CORRUPT. */
export function readNumber(block: Buffer, start: number, length: number): number {
  const end = start + length;
  if ((block[start]! & 0x80) !== 0) return readBase256(block, start, end);
  let at = start;
  while (at < end && (block[at] === SPACE || block[at] === 0)) at++;
  let value = 0;
  for (; at < end; at++) {
    const digit = block[at]! - DIGIT_ZERO;
    if (digit < 0 || digit > 7) break;
    value = value * 8 + digit;
  }
  // A NUL ends the field; before it, only spaces may follow the digits.
  while (at < end && block[at] === SPACE) at++;
  if (at < end && block[at] !== 0) throw corruptTar("a number in a header is not octal");
  return value;
}

function readBase256(block: Buffer, start: number, end: number): number {
  const first = block[start]!;
  let value = (first & 0x3f) - (first & 0x40);
  for (let at = start + 1; at < end; at++) value = value * 256 + block[at]!;
  if (!Number.isSafeInteger(value)) throw corruptTar("a number in a header is too large");
  return value;
}

export function corruptTar(reason: string): AgentError {
  return new AgentError("ARCHIVE_CORRUPT", `Cannot read the tar archive: ${reason}`);
}
