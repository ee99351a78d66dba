/**
 * Where a zstd:chunked blob keeps its table of contents and its tar-split. The annotations of an image layer say so,
 * and so does the blob's footer, which is all that an archive without a manifest has. See containers/storage,
 * pkg/chunked; Debian 12's tools and stargz-snapshotter write the older annotation prefix and the shorter footer.
 */

import { AgentError } from "../../errors.ts";
import { TAR_SPLIT_MAX_BYTES, TOC_MAX_BYTES } from "../limits.ts";

/** A skippable frame's payload inside a blob. */
export interface FramePosition {
  /** Of the first byte after the frame's own header. */
  offset: number;
  sizeBytes: number;
  plainBytes: number;
}

export interface ChunkedPositions {
  toc: FramePosition;
  /** `sha256:…` of the compressed TOC; absent in a footer, which vouches for nothing. */
  tocDigest: string | undefined;
  tarSplit: FramePosition | undefined;
}

export const SKIPPABLE_MAGIC = 0x184d2a50;
export const SKIPPABLE_HEADER_BYTES = 8;
/** The only type of TOC that is defined ("CRFS"). */
export const TOC_TYPE = 1;

export const ANNOTATION_PREFIX = "io.github.containers.zstd-chunked.";
const OLD_ANNOTATION_PREFIX = "io.containers.zstd-chunked.";
const ESTARGZ_TOC = "containerd.io/snapshot/stargz/toc.digest";

export const FOOTER_MAGIC = Buffer.from("GNUlInUx", "latin1");
export const FOOTER_BYTES = 64;
/** Without a tar-split. */
const OLD_FOOTER_BYTES = 40;
/** How much of a blob's end to fetch for a footer of either form. */
export const FOOTER_TAIL_BYTES = SKIPPABLE_HEADER_BYTES + FOOTER_BYTES;

/**
 * Undefined for a layer that is not chunked. Throws CHUNKED_BAD_ANNOTATION, also for a layer that claims to be eStargz
 * too, because its two TOCs could differ, and CHUNKED_TOO_LARGE.
 */
export function parseChunkedAnnotations(
  annotations: Readonly<Record<string, string>>,
): ChunkedPositions | undefined {
  const prefix = [ANNOTATION_PREFIX, OLD_ANNOTATION_PREFIX].find(
    (candidate) =>
      `${candidate}manifest-position` in annotations || `${candidate}manifest-checksum` in annotations,
  );
  if (prefix === undefined) return undefined;
  if (ESTARGZ_TOC in annotations) throw badAnnotation(ESTARGZ_TOC, "the layer is zstd:chunked too");
  const tocKey = `${prefix}manifest-position`;
  const digestKey = `${prefix}manifest-checksum`;
  const toc = parseNumbers(tocKey, annotations[tocKey], 4);
  if (toc[3] !== TOC_TYPE) throw badAnnotation(tocKey, `the TOC has type ${toc[3]}, not ${TOC_TYPE}`);
  const tocDigest = annotations[digestKey];
  if (tocDigest === undefined || !/^sha256:[0-9a-f]{64}$/.test(tocDigest))
    throw badAnnotation(digestKey, "it is not a sha256 digest");
  const tarSplitKey = `${ANNOTATION_PREFIX}tarsplit-position`;
  const tarSplitText = annotations[tarSplitKey];
  const tarSplit = tarSplitText === undefined ? [0] : parseNumbers(tarSplitKey, tarSplitText, 3);
  return {
    toc: checkPosition(tocKey, toc, TOC_MAX_BYTES),
    tocDigest,
    tarSplit: tarSplit[0] === 0 ? undefined : checkPosition(tarSplitKey, tarSplit, TAR_SPLIT_MAX_BYTES),
  };
}

/**
 * Undefined for a blob that is not chunked. `tail` is the last FOOTER_TAIL_BYTES of a blob of `blobBytes`, or all of a
 * shorter one. Throws CHUNKED_BAD_ANNOTATION and CHUNKED_TOO_LARGE.
 */
export function parseFooter(tail: Buffer, blobBytes: number): ChunkedPositions | undefined {
  const footerBytes = [FOOTER_BYTES, OLD_FOOTER_BYTES].find((size) => isFooter(tail, size));
  if (footerBytes === undefined) return undefined;
  const footer = tail.subarray(tail.length - footerBytes);
  const numbers = Array.from({ length: footerBytes / 8 - 1 }, (_, index) =>
    Number(footer.readBigUInt64LE(8 * index)),
  );
  if (numbers[3] !== TOC_TYPE || !numbers.every(Number.isSafeInteger)) return undefined;
  const footerStart = blobBytes - footerBytes - SKIPPABLE_HEADER_BYTES;
  const readPosition = (first: number, maxBytes: number) => {
    const position = numbers.slice(first, first + 3);
    return position[0]! + position[1]! > footerStart
      ? undefined
      : checkPosition("footer", position, maxBytes);
  };
  const toc = readPosition(0, TOC_MAX_BYTES);
  if (toc === undefined) return undefined;
  const hasTarSplit = footerBytes === FOOTER_BYTES && numbers[4]! > 0;
  return {
    toc,
    tocDigest: undefined,
    tarSplit: hasTarSplit ? readPosition(4, TAR_SPLIT_MAX_BYTES) : undefined,
  };
}

function isFooter(tail: Buffer, footerBytes: number): boolean {
  const start = tail.length - footerBytes - SKIPPABLE_HEADER_BYTES;
  return (
    start >= 0 &&
    tail.readUInt32LE(start) === SKIPPABLE_MAGIC &&
    tail.readUInt32LE(start + 4) === footerBytes &&
    tail.subarray(-FOOTER_MAGIC.length).equals(FOOTER_MAGIC)
  );
}

function parseNumbers(key: string, text = "", count: number): number[] {
  const numbers = text.split(":").map((part) => (/^\d{1,16}$/.test(part) ? Number(part) : Number.NaN));
  if (numbers.length === count && numbers.every(Number.isSafeInteger)) return numbers;
  throw badAnnotation(key, `"${text.slice(0, 100)}" is not ${count} numbers`);
}

function checkPosition(key: string, numbers: readonly number[], maxBytes: number): FramePosition {
  const [offset, sizeBytes, plainBytes] = numbers as [number, number, number];
  if (offset < SKIPPABLE_HEADER_BYTES || sizeBytes === 0)
    throw badAnnotation(key, "it does not point to a frame");
  if (sizeBytes > maxBytes || plainBytes > maxBytes) {
    throw new AgentError(
      "CHUNKED_TOO_LARGE",
      `Cannot read a table of ${plainBytes} bytes, which is the size in "${key}": the limit is ${maxBytes}`,
      { context: { sizeBytes, plainBytes, maxBytes } },
    );
  }
  return { offset, sizeBytes, plainBytes };
}

function badAnnotation(key: string, fault: string): AgentError {
  return new AgentError("CHUNKED_BAD_ANNOTATION", `Cannot use the annotation "${key}": ${fault}`);
}
