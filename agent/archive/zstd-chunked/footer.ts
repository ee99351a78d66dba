/**
 * The last frame of a zstd:chunked blob, which says where its tables are: what an archive without a manifest has.
 * Two forms, 64 bytes with a tar-split and 40 bytes of older writers (containers/storage, pkg/chunked/internal/minimal).
 */

import { TAR_SPLIT_MAX_BYTES, TOC_MAX_BYTES } from "../limits.ts";
import { type ChunkedPositions, checkPosition, SKIPPABLE_HEADER_BYTES, TOC_TYPE } from "./annotations.ts";

const MAGIC = Buffer.from("GNUlInUx", "latin1");
const SKIPPABLE_MAGIC = 0x184d2a50;
const NEW_FOOTER_BYTES = 64;
const OLD_FOOTER_BYTES = 40;
/** What to ask for from the end of a blob to have a footer of either form whole. */
export const FOOTER_TAIL_BYTES = SKIPPABLE_HEADER_BYTES + NEW_FOOTER_BYTES;

/**
 * The positions that the end of a blob tells, or nothing when it is not chunked. `tail` is the last
 * FOOTER_TAIL_BYTES of a blob of `blobBytes`, or all of a shorter one. The table is not vouched for.
 */
export function parseFooter(tail: Buffer, blobBytes: number): ChunkedPositions | undefined {
  const footerBytes = [NEW_FOOTER_BYTES, OLD_FOOTER_BYTES].find((size) => isFooter(tail, size));
  if (footerBytes === undefined) return undefined;
  const footer = tail.subarray(tail.length - footerBytes);
  const readNumber = (index: number) => Number(footer.readBigUInt64LE(8 * index));
  const numbers = Array.from({ length: footerBytes / 8 - 1 }, (_, index) => readNumber(index));
  if (numbers[3] !== TOC_TYPE || !numbers.every(Number.isSafeInteger)) return undefined;
  const footerStart = blobBytes - footerBytes - SKIPPABLE_HEADER_BYTES;
  const readPosition = (first: number, maxBytes: number) => {
    const position = {
      offset: numbers[first]!,
      sizeBytes: numbers[first + 1]!,
      plainBytes: numbers[first + 2]!,
    };
    return position.offset + position.sizeBytes > footerStart
      ? undefined
      : checkPosition("footer", position, maxBytes);
  };
  const toc = readPosition(0, TOC_MAX_BYTES);
  if (toc === undefined) return undefined;
  const hasTarSplit = footerBytes === NEW_FOOTER_BYTES && numbers[4]! > 0;
  const tarSplit = hasTarSplit ? readPosition(4, TAR_SPLIT_MAX_BYTES) : undefined;
  return { toc, tocDigest: undefined, tarSplit };
}

function isFooter(tail: Buffer, footerBytes: number): boolean {
  const start = tail.length - footerBytes - SKIPPABLE_HEADER_BYTES;
  return (
    start >= 0 &&
    tail.readUInt32LE(start) === SKIPPABLE_MAGIC &&
    tail.readUInt32LE(start + 4) === footerBytes &&
    tail.subarray(tail.length - MAGIC.length).equals(MAGIC)
  );
}

/** The footer's frame, header and all, in the newer form. */
export function formatFooter({ toc, tarSplit }: ChunkedPositions): Buffer {
  const footer = Buffer.alloc(NEW_FOOTER_BYTES);
  const numbers = [
    toc.offset,
    toc.sizeBytes,
    toc.plainBytes,
    TOC_TYPE,
    tarSplit?.offset ?? 0,
    tarSplit?.sizeBytes ?? 0,
    tarSplit?.plainBytes ?? 0,
  ];
  for (const [index, number] of numbers.entries()) footer.writeBigUInt64LE(BigInt(number), 8 * index);
  MAGIC.copy(footer, NEW_FOOTER_BYTES - MAGIC.length);
  return Buffer.concat([formatSkippableHeader(NEW_FOOTER_BYTES), footer]);
}

export function formatSkippableHeader(payloadBytes: number): Buffer {
  const header = Buffer.alloc(SKIPPABLE_HEADER_BYTES);
  header.writeUInt32LE(SKIPPABLE_MAGIC, 0);
  header.writeUInt32LE(payloadBytes, 4);
  return header;
}
