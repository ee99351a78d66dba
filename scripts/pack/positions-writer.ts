/** Writes where a zstd:chunked archive keeps its tables, as its footer and as the annotations of an image layer. */

import {
  ANNOTATION_PREFIX,
  type ChunkedPositions,
  FOOTER_BYTES,
  FOOTER_MAGIC,
  SKIPPABLE_HEADER_BYTES,
  SKIPPABLE_MAGIC,
  TOC_TYPE,
} from "../../agent/archive/zstd-chunked/positions.ts";

export function formatChunkedAnnotations({
  toc,
  tocDigest,
  tarSplit,
}: ChunkedPositions): Record<string, string> {
  const annotations: Record<string, string> = {};
  const set = (key: string, value: string) => {
    annotations[`${ANNOTATION_PREFIX}${key}`] = value;
  };
  if (tocDigest !== undefined) set("manifest-checksum", tocDigest);
  set("manifest-position", `${toc.offset}:${toc.sizeBytes}:${toc.plainBytes}:${TOC_TYPE}`);
  if (tarSplit) set("tarsplit-position", `${tarSplit.offset}:${tarSplit.sizeBytes}:${tarSplit.plainBytes}`);
  return annotations;
}

/** The footer's whole frame, in the newer form. */
export function formatFooter({ toc, tarSplit }: ChunkedPositions): Buffer {
  const footer = Buffer.alloc(FOOTER_BYTES);
  const none = { offset: 0, sizeBytes: 0, plainBytes: 0 };
  const numbers = [toc, tarSplit ?? none].map(({ offset, sizeBytes, plainBytes }) => [
    offset,
    sizeBytes,
    plainBytes,
  ]);
  for (const [index, number] of [...numbers[0]!, TOC_TYPE, ...numbers[1]!].entries())
    footer.writeBigUInt64LE(BigInt(number), 8 * index);
  FOOTER_MAGIC.copy(footer, FOOTER_BYTES - FOOTER_MAGIC.length);
  return Buffer.concat([formatSkippableHeader(FOOTER_BYTES), footer]);
}

export function formatSkippableHeader(payloadBytes: number): Buffer {
  const header = Buffer.alloc(SKIPPABLE_HEADER_BYTES);
  header.writeUInt32LE(SKIPPABLE_MAGIC, 0);
  header.writeUInt32LE(payloadBytes, 4);
  return header;
}
