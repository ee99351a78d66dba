/**
 * Takes a multipart/byteranges body apart as it arrives; parts may come in any order and are known by Content-Range.
 * RFC 9110 section 14.6 and RFC 2046 section 5.1. Parts must state their range: nothing is counted or guessed.
 */

import { AgentError } from "../../errors.ts";
import { MULTIPART_HEADER_MAX_BYTES } from "../limits.ts";

export interface RangePart {
  start: number;
  /** Exclusive. */
  end: number;
  /** Of the whole, unless the server says `*`. */
  totalBytes: number | undefined;
}

/** A piece of a part's content: `offset` is its place in the whole. */
export interface RangeData {
  part: RangePart;
  offset: number;
  bytes: Buffer;
}

/** RFC 2046: a boundary has at most 70 characters; some servers leave its quotes out, `:` or not. */
const BOUNDARY = /;\s*boundary=(?:"([^"]{1,200})"|([^\s;"]{1,200}))/i;

/** The boundary that a Content-Type names, or nothing when the body is not multipart/byteranges. */
export function parseMultipartBoundary(contentType: string): string | undefined {
  if (!/^\s*multipart\/(?:x-)?byteranges\b/i.test(contentType)) return undefined;
  const match = BOUNDARY.exec(contentType);
  return match?.[1] ?? match?.[2];
}

/** The content of a body's parts, in the order they come. Throws MULTIPART_INVALID. */
export async function* readMultipartRanges(
  body: AsyncIterable<Buffer> | Iterable<Buffer>,
  boundary: string,
): AsyncGenerator<RangeData> {
  const parser = new MultipartParser(boundary);
  for await (const chunk of body) yield* parser.push(chunk);
  parser.finish();
}

type State = "preamble" | "headers" | "content" | "between" | "epilogue";

export class MultipartParser {
  readonly #delimiter: string;
  #state: State = "preamble";
  /** Bytes of a line or a header block that is not whole yet, latin1. */
  #text = "";
  #part: RangePart | undefined;
  #offset = 0;

  constructor(boundary: string) {
    this.#delimiter = `--${boundary}`;
  }

  *push(chunk: Buffer): Generator<RangeData> {
    let at = 0;
    while (at < chunk.length && this.#state !== "epilogue") {
      if (this.#state === "content") {
        const part = this.#part!;
        const bytes = chunk.subarray(at, at + Math.min(part.end - this.#offset, chunk.length - at));
        yield { part, offset: this.#offset, bytes };
        this.#offset += bytes.length;
        at += bytes.length;
        if (this.#offset === part.end) this.#state = "between";
        continue;
      }
      const newline = chunk.indexOf(0x0a, at);
      const end = newline < 0 ? chunk.length : newline + 1;
      this.#text += chunk.toString("latin1", at, end);
      at = end;
      if (this.#text.length > MULTIPART_HEADER_MAX_BYTES) throw broken("its headers do not end");
      if (newline >= 0) this.#endLine();
    }
  }

  /** Throws MULTIPART_INVALID when the body ended before its last boundary. */
  finish(): void {
    const isEnd = this.#state === "epilogue" || this.#text.startsWith(`${this.#delimiter}--`);
    if (!isEnd) throw broken("it ends before its last boundary");
  }

  #endLine(): void {
    if (this.#state === "headers") {
      if (!/(?:^|\n)\r?\n$/.test(this.#text)) return;
      this.#startPart(this.#text);
      this.#text = "";
      return;
    }
    const line = this.#text.replace(/\r?\n$/, "");
    this.#text = "";
    if (line === `${this.#delimiter}--`) this.#state = "epilogue";
    else if (line.trimEnd() === this.#delimiter) this.#state = "headers";
    else if (this.#state === "between" && line !== "")
      throw broken("a part is longer than its Content-Range");
  }

  #startPart(headers: string): void {
    const match = /^content-range:[ \t]*bytes[ \t]+(\d{1,16})-(\d{1,16})\/(\d{1,16}|\*)[ \t]*\r?$/im.exec(
      headers,
    );
    const start = Number(match?.[1]);
    const end = Number(match?.[2]) + 1;
    if (match === null || !Number.isSafeInteger(end) || end <= start)
      throw broken("a part has no Content-Range");
    const totalBytes = match[3] === "*" ? undefined : Number(match[3]);
    if (totalBytes !== undefined && end > totalBytes) throw broken("a part reaches beyond the whole");
    this.#part = { start, end, totalBytes };
    this.#offset = start;
    this.#state = "content";
  }
}

function broken(fault: string): AgentError {
  return new AgentError(
    "MULTIPART_INVALID",
    `Cannot take the answer to a request for ranges apart: ${fault}`,
  );
}
