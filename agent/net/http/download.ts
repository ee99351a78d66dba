/**
 * One download over several attempts: what to ask for after an interruption, whether a response continues the download,
 * and which of its bytes are new. RFC 9110, sections 13 and 14.
 *
 * With a strong ETag, or a digest that the reader checks, a Range request continues at the next byte. Without either, the
 * download starts over, and the bytes that were delivered before are compared by hash before new ones follow.
 */
import { createHash, type Hash } from "node:crypto";
import type { ByteRange } from "../../archive/byte-range.ts";
import type { ErrorCode } from "../../errors.ts";
import type { RawResponse } from "./attempt.ts";
import { AttemptError } from "./failure.ts";
import type { Headers, HttpRequest } from "./http-message.ts";
import { formatRanges, parseContentLength, parseContentRange, parseStrongEtag } from "./range-headers.ts";
import type { StallDetector } from "./stall-detector.ts";

export class Download {
  deliveredBytes = 0;
  /** Size of the whole file, as far as known. */
  totalBytes: number | undefined;
  /** The server's ranges are wrong: request the whole file from now on. */
  isRangeDistrusted = false;
  readonly #request: HttpRequest;
  readonly #range: ByteRange;
  /** Whether several responses may make up the body. */
  readonly #isResumable: boolean;
  /** Of all delivered bytes. A digest that the reader checks makes it superfluous. */
  readonly #deliveredHash: Hash | undefined;
  #etag: string | undefined;
  /** File offset of the first byte of the current response's body. */
  #bodyStart = 0;

  constructor(request: HttpRequest) {
    const { method = "GET", range, ranges, suffixBytes, hasDigest } = request;
    this.#request = request;
    this.#range = range ?? { start: 0, end: Number.POSITIVE_INFINITY };
    this.#isResumable = method === "GET" && !ranges && suffixBytes === undefined;
    this.#deliveredHash = hasDigest ? undefined : createHash("sha256");
  }

  /** File offset of the next byte that the reader gets. */
  get nextByte(): number {
    return this.#range.start + this.deliveredBytes;
  }

  /** How many bytes the reader gets in all, as far as known. */
  get sizeBytes(): number | undefined {
    const end = Math.min(this.#range.end, this.totalBytes ?? Number.POSITIVE_INFINITY);
    return end === Number.POSITIVE_INFINITY ? undefined : Math.max(0, end - this.#range.start);
  }

  /** Range and If-Range of the next request. */
  get rangeHeaders(): Headers {
    const { ranges, suffixBytes } = this.#request;
    if (suffixBytes !== undefined) return { range: `bytes=-${suffixBytes}` };
    if (ranges) return { range: formatRanges(ranges) };
    const start = this.#requestedStart;
    if (start === undefined) return {};
    const range = formatRanges([{ start, end: this.#range.end }]);
    return this.deliveredBytes > 0 && this.#etag !== undefined
      ? { range, "if-range": this.#etag }
      : { range };
  }

  /** First byte of the next request, or undefined when it has no Range. */
  get #requestedStart(): number | undefined {
    if (this.isRangeDistrusted) return undefined;
    const canContinue = this.#etag !== undefined || this.#request.hasDigest;
    return this.deliveredBytes > 0 && canContinue ? this.nextByte : this.#request.range?.start;
  }

  /**
   * Takes in the headers of a 200 or 206, or throws AttemptError when the body does not continue the download.
   * Where a request for the whole file may help, `isRangeDistrusted` is set.
   */
  accept({ status, headers }: RawResponse): void {
    if (!this.#isResumable) return;
    const etag = parseStrongEtag(headers.etag);
    const totalBytes = this.#locateBody(status, headers);
    const { range, maxBytes } = this.#request;
    if (totalBytes !== undefined && range && range.start >= Math.max(totalBytes, 1)) {
      const reason = `the file has ${totalBytes} bytes, and byte ${range.start} was requested`;
      throw new AttemptError({ code: "FETCH_WRONG_RANGE", reason });
    }
    if (this.deliveredBytes === 0) {
      this.#etag = etag;
      this.totalBytes = totalBytes;
    } else {
      if (totalBytes !== undefined && this.totalBytes !== undefined && totalBytes !== this.totalBytes) {
        const reason = `the file had ${this.totalBytes} bytes before the interruption and has ${totalBytes} now`;
        throw new AttemptError({ code: "FETCH_CHANGED", reason });
      }
      // If-Range should have made this a 200; some servers do not know the header.
      const isOtherVersion = etag !== undefined && this.#etag !== undefined && etag !== this.#etag;
      if (status === 206 && isOtherVersion)
        throw this.#startOver("FETCH_CHANGED", "another version of the file");
      this.totalBytes ??= totalBytes;
      // Either the bytes or the digest will be compared; from now on this version's validator counts.
      if (status === 200) this.#etag = etag;
    }
    const { sizeBytes } = this;
    if (maxBytes !== undefined && sizeBytes !== undefined && sizeBytes > maxBytes)
      throw this.#createTooLargeError(`${sizeBytes} bytes`);
  }

  /** Sets where the body starts; returns the size of the whole file, as far as known. */
  #locateBody(status: number, headers: Headers): number | undefined {
    this.#bodyStart = 0;
    if (status !== 206) return parseContentLength(headers["content-length"]);
    const requestedStart = this.#requestedStart;
    if (requestedStart === undefined)
      throw this.#startOver("FETCH_WRONG_RANGE", "a part of the file, but the whole file was requested");
    const contentRange = parseContentRange(headers["content-range"]);
    if (contentRange?.start !== requestedStart || contentRange.end > this.#range.end) {
      const received = headers["content-range"] ?? "no Content-Range";
      throw this.#startOver(
        "FETCH_WRONG_RANGE",
        `"${received}" for a request from byte ${requestedStart} on`,
      );
    }
    this.#bodyStart = contentRange.start;
    return contentRange.totalBytes;
  }

  /** Yields the new bytes of a response; throws AttemptError where they do not continue what was delivered. */
  async *read(response: RawResponse, stall: StallDetector): AsyncGenerator<Buffer, void, undefined> {
    const { end } = this.#range;
    const deliveredHash = this.#bodyStart < this.nextByte ? this.#deliveredHash : undefined;
    const repeatedHash = deliveredHash && createHash("sha256");
    const chunks: AsyncIterator<Buffer> = response.body[Symbol.asyncIterator]();
    let position = this.#bodyStart;
    for (let isFirst = true; position < end; isFirst = false) {
      const { done, value } = await stall.watch(chunks.next());
      if (done) break;
      let chunk: Buffer = value;
      stall.noteBytes(chunk.length);
      if (isFirst && !this.#request.acceptsHtml) refuseHtmlPage(response.headers, chunk);

      const chunkStart = position;
      position += chunk.length;
      const { nextByte } = this;
      if (chunkStart < nextByte) {
        repeatedHash?.update(
          chunk.subarray(Math.max(0, this.#range.start - chunkStart), nextByte - chunkStart),
        );
        if (position < nextByte) continue;
        const isSame = repeatedHash?.digest("hex") === deliveredHash?.copy().digest("hex");
        if (!isSame)
          throw new AttemptError({
            code: "FETCH_CHANGED",
            reason: "the part before the interruption is different now",
          });
        chunk = chunk.subarray(nextByte - chunkStart);
      }
      if (position > end) chunk = chunk.subarray(0, chunk.length - (position - end));
      if (chunk.length === 0) continue;

      this.deliveredBytes += chunk.length;
      if (this.deliveredBytes > (this.#request.maxBytes ?? Number.POSITIVE_INFINITY))
        throw this.#createTooLargeError("more data");
      this.#deliveredHash?.update(chunk);
      yield chunk;
    }
    const { sizeBytes } = this;
    const missingBytes = sizeBytes === undefined ? this.nextByte - position : sizeBytes - this.deliveredBytes;
    if (this.#isResumable && missingBytes > 0) {
      const reason = `the body ended ${missingBytes} bytes early`;
      throw new AttemptError({ code: "FETCH_INTERRUPTED", reason, isTransient: true });
    }
  }

  #startOver(code: ErrorCode, reason: string): AttemptError {
    const isTransient = !this.isRangeDistrusted;
    this.isRangeDistrusted = true;
    return new AttemptError({ code, reason, isTransient });
  }

  #createTooLargeError(size: string): AttemptError {
    const { maxBytes, overrunCode: code = "FETCH_TOO_LARGE" } = this.#request;
    return new AttemptError({ code, reason: `${size}, but at most ${maxBytes} bytes are accepted` });
  }
}

function refuseHtmlPage(headers: Headers, firstChunk: Buffer): void {
  if (!/^text\/html\b/i.test(headers["content-type"] ?? "")) return;
  if (!/^\s*<(!doctype|html|head|\?xml)/i.test(firstChunk.subarray(0, 256).toString("latin1"))) return;
  throw new AttemptError({ code: "HTTP_UNEXPECTED_PAGE", reason: "an HTML page" });
}
