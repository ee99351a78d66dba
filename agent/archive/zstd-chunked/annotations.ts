/**
 * Where a zstd:chunked layer keeps its table of contents, as the layer's annotations in the manifest say.
 * containers/storage, pkg/chunked; Debian 12's tools and stargz-snapshotter write the older of the two prefixes.
 */

import { AgentError } from "../../errors.ts";
import { TAR_SPLIT_MAX_BYTES, TOC_MAX_BYTES } from "../limits.ts";

/** A skippable frame's payload inside a blob. */
export interface FramePosition {
  /** Of the first byte behind the frame's own header. */
  offset: number;
  sizeBytes: number;
  plainBytes: number;
}

export interface ChunkedPositions {
  toc: FramePosition;
  /** `sha256:…` of the compressed table; absent when only a footer told of it: nothing then vouches for it. */
  tocDigest: string | undefined;
  tarSplit: FramePosition | undefined;
}

export const SKIPPABLE_HEADER_BYTES = 8;
/** The one kind of table there is ("CRFS"). */
export const TOC_TYPE = 1;

const PREFIX = "io.github.containers.zstd-chunked.";
const OLD_PREFIX = "io.containers.zstd-chunked.";
const ESTARGZ_TOC = "containerd.io/snapshot/stargz/toc.digest";

/**
 * The positions that the annotations of a layer give, or nothing for a layer that is not chunked.
 * Throws CHUNKED_BAD_ANNOTATION, also for a layer that says it is eStargz as well: its two tables could differ.
 */
export function parseChunkedAnnotations(
  annotations: Readonly<Record<string, string>>,
): ChunkedPositions | undefined {
  const prefix = [PREFIX, OLD_PREFIX].find(
    (candidate) =>
      `${candidate}manifest-position` in annotations || `${candidate}manifest-checksum` in annotations,
  );
  if (prefix === undefined) return undefined;
  if (ESTARGZ_TOC in annotations) throw badAnnotation(ESTARGZ_TOC, "the layer says it is zstd:chunked too");
  const tocKey = `${prefix}manifest-position`;
  const digestKey = `${prefix}manifest-checksum`;
  const [offset, sizeBytes, plainBytes, type] = parseNumbers(tocKey, annotations[tocKey], 4);
  if (type !== TOC_TYPE) throw badAnnotation(tocKey, `the table's type is ${type}, not ${TOC_TYPE}`);
  const tocDigest = annotations[digestKey];
  if (tocDigest === undefined || !/^sha256:[0-9a-f]{64}$/.test(tocDigest)) {
    throw badAnnotation(digestKey, "it is no sha256 digest");
  }
  const toc = checkPosition(
    tocKey,
    { offset: offset!, sizeBytes: sizeBytes!, plainBytes: plainBytes! },
    TOC_MAX_BYTES,
  );
  return { toc, tocDigest, tarSplit: parseTarSplit(`${PREFIX}tarsplit-position`, annotations) };
}

export function formatChunkedAnnotations(positions: ChunkedPositions): Record<string, string> {
  const { toc, tocDigest, tarSplit } = positions;
  return {
    ...(tocDigest !== undefined && { [`${PREFIX}manifest-checksum`]: tocDigest }),
    [`${PREFIX}manifest-position`]: `${toc.offset}:${toc.sizeBytes}:${toc.plainBytes}:${TOC_TYPE}`,
    ...(tarSplit !== undefined && {
      [`${PREFIX}tarsplit-position`]: `${tarSplit.offset}:${tarSplit.sizeBytes}:${tarSplit.plainBytes}`,
    }),
  };
}

function parseTarSplit(
  key: string,
  annotations: Readonly<Record<string, string>>,
): FramePosition | undefined {
  if (annotations[key] === undefined) return undefined;
  const [offset, sizeBytes, plainBytes] = parseNumbers(key, annotations[key], 3);
  if (offset === 0) return undefined;
  return checkPosition(
    key,
    { offset: offset!, sizeBytes: sizeBytes!, plainBytes: plainBytes! },
    TAR_SPLIT_MAX_BYTES,
  );
}

function parseNumbers(key: string, text: string | undefined, count: number): number[] {
  const parts = (text ?? "").split(":");
  const numbers = parts.map((part) => (/^\d{1,16}$/.test(part) ? Number(part) : Number.NaN));
  if (numbers.length !== count || !numbers.every(Number.isSafeInteger)) {
    throw badAnnotation(key, `"${(text ?? "").slice(0, 100)}" is not ${count} numbers`);
  }
  return numbers;
}

/** Also for a footer's numbers. Throws CHUNKED_BAD_ANNOTATION or CHUNKED_TOO_LARGE. */
export function checkPosition(key: string, position: FramePosition, maxBytes: number): FramePosition {
  const { offset, sizeBytes, plainBytes } = position;
  if (offset < SKIPPABLE_HEADER_BYTES || sizeBytes === 0) throw badAnnotation(key, "it points nowhere");
  if (sizeBytes > maxBytes || plainBytes > maxBytes) {
    throw new AgentError("CHUNKED_TOO_LARGE", `Cannot take a table of ${plainBytes} bytes: ${key} says so`, {
      context: { sizeBytes, plainBytes, maxBytes },
    });
  }
  return position;
}

function badAnnotation(key: string, fault: string): AgentError {
  return new AgentError("CHUNKED_BAD_ANNOTATION", `Cannot use the annotation "${key}": ${fault}`);
}
