/**
 * Reads Content-Range and ETag: which bytes came, of how many, of which version.
 * RFC 9110, sections 14.4 and 8.8.3.
 */

export interface ContentRange {
  firstByte: number;
  lastByte: number;
  /** Absent where the server wrote `*`. */
  totalBytes?: number;
}

/** Undefined for anything but one satisfied range of bytes. */
export function parseContentRange(header: string | undefined): ContentRange | undefined {
  const match = /^bytes\s+(\d{1,15})-(\d{1,15})\/(\d{1,15}|\*)$/i.exec(header?.trim() ?? "");
  if (!match) return undefined;
  const firstByte = Number(match[1]);
  const lastByte = Number(match[2]);
  const totalBytes = match[3] === "*" ? undefined : Number(match[3]);
  if (lastByte < firstByte || (totalBytes !== undefined && lastByte >= totalBytes)) return undefined;
  return { firstByte, lastByte, totalBytes };
}

/** The ETag if it is strong: a weak one does not promise the same bytes. */
export function parseStrongEtag(header: string | undefined): string | undefined {
  return header !== undefined && /^"[\x21\x23-\x7e\x80-\xff]*"$/.test(header) ? header : undefined;
}

/** Undefined for anything but a plain decimal number of bytes. */
export function parseContentLength(header: string | undefined): number | undefined {
  return header !== undefined && /^\d{1,15}$/.test(header) ? Number(header) : undefined;
}
