/**
 * Reads and writes the headers about ranges and versions. Only here are the ends of ranges inclusive, as HTTP has them.
 * RFC 9110, sections 8.8.3 (ETag), 14.2 (Range) and 14.4 (Content-Range).
 */
import type { ByteRange } from "../../archive/byte-range.ts";

export interface ContentRange extends ByteRange {
  /** Size of the file; absent where the server wrote `*`. */
  totalBytes?: number;
}

/** Undefined for anything but one satisfied range of bytes. */
export function parseContentRange(header: string | undefined): ContentRange | undefined {
  const match = /^bytes\s+(\d{1,15})-(\d{1,15})\/(\d{1,15}|\*)$/i.exec(header?.trim() ?? "");
  if (!match) return undefined;
  const start = Number(match[1]);
  const end = Number(match[2]) + 1;
  const totalBytes = match[3] === "*" ? undefined : Number(match[3]);
  if (end <= start || (totalBytes !== undefined && end > totalBytes)) return undefined;
  return { start, end, totalBytes };
}

/** The value of a Range header. */
export function formatRanges(ranges: readonly ByteRange[]): string {
  const texts = ranges.map(({ start, end }) => `${start}-${end === Number.POSITIVE_INFINITY ? "" : end - 1}`);
  return `bytes=${texts.join(",")}`;
}

/** The ETag if it is strong: a weak one does not promise the same bytes. */
export function parseStrongEtag(header: string | undefined): string | undefined {
  return header !== undefined && /^"[\x21\x23-\x7e\x80-\xff]*"$/.test(header) ? header : undefined;
}

/** Undefined for anything but a plain decimal number of bytes. */
export function parseContentLength(header: string | undefined): number | undefined {
  return header !== undefined && /^\d{1,15}$/.test(header) ? Number(header) : undefined;
}
