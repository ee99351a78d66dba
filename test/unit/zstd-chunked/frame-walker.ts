/**
 * Finds where zstd frames begin and end without decoding them (RFC 8878, section 3.1).
 * Serves to cut a blob into its frames, and to check that what a table of contents calls a frame is one.
 */

import { AgentError } from "../../../agent/errors.ts";

const ZSTD_MAGIC = 0xfd2fb528;
const SKIPPABLE_MAGIC_FIRST = 0x184d2a50;
const SKIPPABLE_MAGIC_MASK = 0xfffffff0;
const BLOCK_HEADER_BYTES = 3;
const CHECKSUM_BYTES = 4;
const BLOCK_TYPE_RLE = 1;
const BLOCK_TYPE_RESERVED = 3;
const DICTIONARY_ID_BYTES = [0, 1, 2, 4];

export interface ZstdFrame {
  kind: "data" | "skippable";
  offset: number;
  sizeBytes: number;
  /** Of a data frame, when its header states it. */
  plainBytes: number | undefined;
}

/** The frames of a whole blob, end to end. Throws CHUNKED_BAD_FRAME, also when the last one is cut. */
export function* walkFrames(blob: Buffer): Generator<ZstdFrame> {
  for (let offset = 0; offset < blob.length; ) {
    const frame = measureFrame(blob, offset);
    if (frame === undefined) throw badFrame(offset, "it is cut");
    yield frame;
    offset += frame.sizeBytes;
  }
}

/** The frame that begins at `offset`, or nothing when `bytes` ends inside it. Throws CHUNKED_BAD_FRAME. */
export function measureFrame(bytes: Buffer, offset: number): ZstdFrame | undefined {
  if (offset + 4 > bytes.length) return undefined;
  const magic = bytes.readUInt32LE(offset);
  if ((magic & SKIPPABLE_MAGIC_MASK) >>> 0 === SKIPPABLE_MAGIC_FIRST) return measureSkippable(bytes, offset);
  if (magic !== ZSTD_MAGIC) throw badFrame(offset, `it begins with ${magic.toString(16)}`);
  return measureData(bytes, offset);
}

function measureSkippable(bytes: Buffer, offset: number): ZstdFrame | undefined {
  if (offset + 8 > bytes.length) return undefined;
  const sizeBytes = 8 + bytes.readUInt32LE(offset + 4);
  if (offset + sizeBytes > bytes.length) return undefined;
  return { kind: "skippable", offset, sizeBytes, plainBytes: undefined };
}

function measureData(bytes: Buffer, offset: number): ZstdFrame | undefined {
  const descriptor = bytes[offset + 4];
  if (descriptor === undefined) return undefined;
  const isSingleSegment = (descriptor & 0x20) !== 0;
  const sizeCode = descriptor >> 6;
  const windowBytes = isSingleSegment ? 0 : 1;
  const dictionaryBytes = DICTIONARY_ID_BYTES[descriptor & 3]!;
  const sizeFieldBytes = sizeCode === 0 ? (isSingleSegment ? 1 : 0) : 1 << sizeCode;
  const sizeFieldAt = offset + 5 + windowBytes + dictionaryBytes;
  let at = sizeFieldAt + sizeFieldBytes;
  if (at > bytes.length) return undefined;
  const plainBytes = readContentSize(bytes, sizeFieldAt, sizeFieldBytes);
  for (let isLast = false; !isLast; ) {
    if (at + BLOCK_HEADER_BYTES > bytes.length) return undefined;
    const header = bytes.readUIntLE(at, BLOCK_HEADER_BYTES);
    const type = (header >> 1) & 3;
    if (type === BLOCK_TYPE_RESERVED) throw badFrame(offset, "it has a block of a reserved type");
    isLast = (header & 1) !== 0;
    at += BLOCK_HEADER_BYTES + (type === BLOCK_TYPE_RLE ? 1 : header >> 3);
  }
  if ((descriptor & 4) !== 0) at += CHECKSUM_BYTES;
  return at > bytes.length ? undefined : { kind: "data", offset, sizeBytes: at - offset, plainBytes };
}

function readContentSize(bytes: Buffer, at: number, fieldBytes: number): number | undefined {
  if (fieldBytes === 0) return undefined;
  if (fieldBytes === 8) return Number(bytes.readBigUInt64LE(at));
  return bytes.readUIntLE(at, fieldBytes) + (fieldBytes === 2 ? 256 : 0);
}

function badFrame(offset: number, fault: string): AgentError {
  return new AgentError(
    "CHUNKED_BAD_FRAME",
    `Cannot find the end of the zstd frame at byte ${offset}: ${fault}`,
    {
      context: { offset },
    },
  );
}
