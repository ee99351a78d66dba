/**
 * A server for ranges of a file that responds as real servers do: with parts, parts in any order, the whole file, or a refusal.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import { answer, type Behaviour, serveFile } from "./misbehaving-server.ts";

export interface RangeManners {
  /** How many ranges it accepts in one request; more get `refusal`. */
  maxRanges?: number;
  /** The response to too many ranges: the whole file, or an error status. */
  refusal?: "whole" | 400 | 416 | 501;
  /** It does not support ranges. */
  ignoresRanges?: boolean;
  order?: "asked" | "reversed";
  /** Parts less than this many bytes apart are joined. */
  mergesGaps?: number;
  /** It sends only so many parts, and ends the body correctly. */
  omitsAfter?: number;
  /** The body is interrupted after so many bytes. */
  cutAt?: number;
  /** It sends one of several ranges, without multipart. */
  answersFirstOnly?: boolean;
  contentType?: (boundary: string) => string;
  /** Changes the bytes that it sends, by their offset in the file. */
  spoil?: (bytes: Buffer, offset: number) => void;
}

interface Part {
  start: number;
  end: number;
}

export function serveRanges(content: Buffer, manners: RangeManners = {}): Behaviour {
  return (request, response) => {
    const ranges = readRanges(request, content.length);
    if (manners.ignoresRanges || ranges === undefined)
      return serveFile(content, { ignoresRange: true })(request, response);
    if (ranges.length === 1) return sendOne(ranges[0]!, response);
    if (ranges.length > (manners.maxRanges ?? Number.POSITIVE_INFINITY)) {
      if (manners.refusal === "whole") return serveFile(content, { ignoresRange: true })(request, response);
      return answer(manners.refusal ?? 416)(request, response);
    }
    if (manners.answersFirstOnly) return sendOne(ranges[0]!, response);
    return sendMany(ranges, response);
  };

  function cut({ start, end }: Part): Buffer {
    const bytes = Buffer.from(content.subarray(start, end));
    manners.spoil?.(bytes, start);
    return bytes;
  }

  function sendOne(part: Part, response: ServerResponse): void {
    const bytes = cut(part);
    response.writeHead(206, {
      "content-range": `bytes ${part.start}-${part.end - 1}/${content.length}`,
      "content-length": String(bytes.length),
    });
    response.end(bytes);
  }

  function sendMany(asked: readonly Part[], response: ServerResponse): void {
    const boundary = "THIS:IS:THE:BOUNDARY";
    let parts = merge(asked, manners.mergesGaps ?? -1);
    if (manners.order === "reversed") parts = parts.toReversed();
    parts = parts.slice(0, manners.omitsAfter);
    const body = parts.flatMap((part) => [
      Buffer.from(
        `\r\n--${boundary}\r\nContent-Type: application/octet-stream\r\nContent-Range: bytes ${part.start}-${part.end - 1}/${content.length}\r\n\r\n`,
      ),
      cut(part),
    ]);
    const bytes = Buffer.concat([...body, Buffer.from(`\r\n--${boundary}--\r\n`)]);
    const type = manners.contentType?.(boundary) ?? `multipart/byteranges; boundary="${boundary}"`;
    response.writeHead(206, { "content-type": type });
    response.end(manners.cutAt === undefined ? bytes : bytes.subarray(0, manners.cutAt));
  }
}

/** The ranges of a request, or undefined for one without. */
function readRanges(request: IncomingMessage, sizeBytes: number): Part[] | undefined {
  const text = /^bytes=(.+)$/.exec(request.headers.range ?? "")?.[1];
  return text?.split(",").map((range) => {
    const [, from = "", to = ""] = /^\s*(\d*)-(\d*)\s*$/.exec(range)!;
    if (from === "") return { start: Math.max(0, sizeBytes - Number(to)), end: sizeBytes };
    return { start: Number(from), end: to === "" ? sizeBytes : Math.min(sizeBytes, Number(to) + 1) };
  });
}

function merge(parts: readonly Part[], gapBytes: number): Part[] {
  const merged: Part[] = [];
  for (const { start, end } of parts) {
    const last = merged.at(-1);
    if (last && start - last.end <= gapBytes) last.end = end;
    else merged.push({ start, end });
  }
  return merged;
}
