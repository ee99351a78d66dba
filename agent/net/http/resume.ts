/**
 * What to ask for after a broken download, and whether the answer continues it. Pure; RFC 9110, sections 13 and 14.
 *
 * A strong ETag or a digest that the reader will check allows a Range from where it broke. Without either the body is
 * asked for from its beginning, and what the reader has had is compared by hash before anything new is handed on.
 */

import { parseContentLength, parseContentRange, parseStrongEtag } from "./content-range.ts";
import type { Failure } from "./failure.ts";
import type { ByteRange } from "./http-message.ts";

export interface Download {
  /** What the reader asked for; absent for all. */
  readonly range: ByteRange | undefined;
  /** Whether the reader checks a digest at the end. */
  readonly hasDigest: boolean;
  /** Whether more than one request may make up the body. */
  readonly isResumable: boolean;
  deliveredBytes: number;
  etag: string | undefined;
  /** Of the whole file. */
  totalBytes: number | undefined;
  /** The server's ranges are wrong: ask for the whole from now on. */
  isRangeDistrusted: boolean;
}

/** How to take a response's body. */
export interface Slice {
  /** Of the file, of the body's first byte. */
  bodyStart: number;
  /** The body's own length. */
  bodyBytes: number | undefined;
}

export function createDownload(wanted: Pick<Download, "range" | "hasDigest" | "isResumable">): Download {
  return { ...wanted, deliveredBytes: 0, etag: undefined, totalBytes: undefined, isRangeDistrusted: false };
}

/** The file offset of the next byte the reader wants. */
export function nextByte({ range, deliveredBytes }: Download): number {
  return (range?.start ?? 0) + deliveredBytes;
}

/** How many bytes the reader gets in all, as far as known. */
export function wantedBytes({ range, totalBytes }: Download): number | undefined {
  const start = range?.start ?? 0;
  const end = range?.end ?? Number.POSITIVE_INFINITY;
  if (totalBytes === undefined) return range?.end === undefined ? undefined : end - start + 1;
  return Math.max(0, Math.min(end, totalBytes - 1) - start + 1);
}

/** How much is not there yet though a body ended at file offset `position`. */
export function missingBytes(download: Download, position: number): number {
  const wanted = wantedBytes(download);
  return Math.max(0, wanted === undefined ? nextByte(download) - position : wanted - download.deliveredBytes);
}

/** First byte to ask for, or undefined for a request without Range. */
function planRangeStart(download: Download): number | undefined {
  if (download.isRangeDistrusted) return undefined;
  if (download.deliveredBytes > 0 && (download.etag !== undefined || download.hasDigest))
    return nextByte(download);
  return download.range?.start;
}

export function formatRangeHeaders(download: Download): Record<string, string> {
  const start = planRangeStart(download);
  if (start === undefined) return {};
  const condition = download.deliveredBytes > 0 ? download.etag : undefined;
  return {
    range: `bytes=${start}-${download.range?.end ?? ""}`,
    ...(condition !== undefined && { "if-range": condition }),
  };
}

export function formatRanges(ranges: readonly ByteRange[]): string {
  return `bytes=${ranges.map(({ start, end }) => (start < 0 ? start : `${start}-${end ?? ""}`)).join(",")}`;
}

/**
 * Takes a 200 or 206 into the download's state, or says why it does not continue it.
 * Failures that another request can mend leave `isRangeDistrusted` set, so that the next one starts from the beginning.
 */
export function judgeResponse(
  download: Download,
  { status, headers }: { status: number; headers: Readonly<Record<string, string>> },
): Slice | Failure {
  const askedStart = planRangeStart(download);
  const etag = parseStrongEtag(headers.etag);
  const contentLength = parseContentLength(headers["content-length"]);
  const startOver = (code: "FETCH_WRONG_RANGE" | "FETCH_CHANGED", cameBack: string): Failure => {
    const isTransient = !download.isRangeDistrusted;
    download.isRangeDistrusted = true;
    return { code, cameBack, isTransient };
  };

  let slice: Slice;
  let totalBytes: number | undefined;
  if (status === 206) {
    const range = parseContentRange(headers["content-range"]);
    if (askedStart === undefined)
      return startOver("FETCH_WRONG_RANGE", "part of the file, though all was asked for");
    if (
      !range ||
      range.firstByte !== askedStart ||
      range.lastByte > (download.range?.end ?? Number.POSITIVE_INFINITY)
    ) {
      const got = headers["content-range"] ?? "no Content-Range";
      return startOver("FETCH_WRONG_RANGE", `"${got}" for bytes from ${askedStart} on`);
    }
    totalBytes = range.totalBytes;
    slice = { bodyStart: range.firstByte, bodyBytes: range.lastByte - range.firstByte + 1 };
  } else {
    totalBytes = contentLength;
    slice = { bodyStart: 0, bodyBytes: contentLength };
  }

  if (totalBytes !== undefined && download.range && download.range.start >= Math.max(totalBytes, 1)) {
    const cameBack = `${totalBytes} bytes in all, where byte ${download.range.start} was asked for`;
    return { code: "FETCH_WRONG_RANGE", cameBack, isTransient: false };
  }
  if (download.deliveredBytes > 0) {
    const isOtherSize =
      totalBytes !== undefined && download.totalBytes !== undefined && totalBytes !== download.totalBytes;
    if (isOtherSize) {
      return {
        code: "FETCH_CHANGED",
        cameBack: `it had ${download.totalBytes} bytes, and ${totalBytes} when the download went on`,
        isTransient: false,
      };
    }
    // If-Range should have made this a 200; some servers do not know the header.
    const isOtherVersion = etag !== undefined && download.etag !== undefined && etag !== download.etag;
    if (status === 206 && isOtherVersion) return startOver("FETCH_CHANGED", "another version of the file");
    download.totalBytes ??= totalBytes;
    // The bytes are compared, or the digest is; from here on this version's validator counts.
    if (status === 200) download.etag = etag;
  } else {
    download.etag = etag;
    download.totalBytes = totalBytes;
  }
  return slice;
}
