/**
 * Hands on a download's bytes across attempts: skips what the reader has had, compares it, cuts to the range asked for.
 */
import { createHash, type Hash } from "node:crypto";
import { AttemptError, type Failure } from "./failure.ts";
import type { Headers, HttpRequest } from "./http-message.ts";
import { type Download, missingBytes, nextByte, type Slice } from "./resume.ts";
import type { StallDetector } from "./stall-detector.ts";

export interface BodyReader {
  /** Yields what is new in this attempt's body; throws AttemptError where it does not continue what was read. */
  read(
    attempt: { headers: Headers; body: AsyncIterable<Buffer>; slice: Slice; pace: StallDetector },
    onBytes: (bytes: number) => void,
  ): AsyncGenerator<Buffer, void, undefined>;
}

export function createBodyReader(download: Download, request: HttpRequest): BodyReader {
  const start = request.range?.start ?? 0;
  const end = request.range?.end ?? Number.POSITIVE_INFINITY;
  // Of what the reader has had, to compare with when only a restart is possible. A digest makes it superfluous.
  const deliveredHash = request.hasDigest ? undefined : createHash("sha256");

  function requireSameBytes(seenHash: Hash | undefined): void {
    if (!seenHash || !deliveredHash || download.deliveredBytes === 0) return;
    if (seenHash.copy().digest("hex") === deliveredHash.copy().digest("hex")) return;
    throw new AttemptError({
      code: "FETCH_CHANGED",
      cameBack: "its beginning is another one since the download was broken off",
      isTransient: false,
    });
  }

  return {
    async *read({ headers, body, slice, pace }, onBytes) {
      const seenHash =
        deliveredHash && slice.bodyStart < nextByte(download) ? createHash("sha256") : undefined;
      const chunks = body[Symbol.asyncIterator]();
      let position = slice.bodyStart;
      for (let isFirst = true; position <= end; isFirst = false) {
        pace.startWaiting();
        const { done, value } = await chunks.next();
        pace.stopWaiting();
        if (done) break;
        let chunk: Buffer = value;
        pace.noteBytes(chunk.length);
        if (isFirst && !request.acceptsHtml) refuseHtmlPage(headers, chunk);

        const chunkStart = position;
        position += chunk.length;
        const wanted = nextByte(download);
        if (chunkStart < wanted) {
          seenHash?.update(chunk.subarray(Math.max(0, start - chunkStart), wanted - chunkStart));
          if (position < wanted) continue;
          requireSameBytes(seenHash);
          chunk = chunk.subarray(wanted - chunkStart);
        }
        if (position > end + 1) chunk = chunk.subarray(0, chunk.length - (position - end - 1));
        if (chunk.length === 0) continue;

        download.deliveredBytes += chunk.length;
        if (request.maxBytes !== undefined && download.deliveredBytes > request.maxBytes) {
          throw new AttemptError(describeTooLarge("more", request));
        }
        deliveredHash?.update(chunk);
        onBytes(chunk.length);
        yield chunk;
      }
      const missing = download.isResumable ? missingBytes(download, position) : 0;
      if (missing > 0) {
        throw new AttemptError({
          code: "FETCH_INTERRUPTED",
          cameBack: `the body ended ${missing} bytes early`,
          isTransient: true,
        });
      }
    },
  };
}

export function describeTooLarge(size: string, { maxBytes, overrunCode }: HttpRequest): Failure {
  return {
    code: overrunCode ?? "FETCH_TOO_LARGE",
    cameBack: `${size}, where at most ${maxBytes} bytes are taken`,
    isTransient: false,
  };
}

function refuseHtmlPage(headers: Headers, firstChunk: Buffer): void {
  if (!/^text\/html\b/i.test(headers["content-type"] ?? "")) return;
  if (!/^\s*<(!doctype|html|head|\?xml)/i.test(firstChunk.subarray(0, 256).toString("latin1"))) return;
  throw new AttemptError({
    code: "HTTP_UNEXPECTED_PAGE",
    cameBack: "an HTML page",
    isTransient: false,
  });
}
