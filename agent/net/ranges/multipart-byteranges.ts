/**
 * Splits a multipart/byteranges body into its parts while it arrives. Parts may come in any order.
 * RFC 9110 section 14.6 and RFC 2046 section 5.1. Every part must have a Content-Range: nothing is counted or guessed.
 */
import type { RangePiece } from "../../archive/byte-range.ts";
import { AgentError } from "../../errors.ts";
import { type ContentRange, parseContentRange } from "../http/range-headers.ts";
import { MULTIPART_HEADER_MAX_BYTES } from "../limits.ts";

/** A piece of a part's content. */
export interface PartPiece extends RangePiece {
  part: ContentRange;
}

/** RFC 2046 allows 70 characters; some servers omit the quotes that a `:` needs. */
const BOUNDARY = /;\s*boundary=(?:"([^"]{1,200})"|([^\s;"]{1,200}))/i;

/** The boundary in a Content-Type, or undefined when the body is not multipart/byteranges. */
export function parseMultipartBoundary(contentType: string): string | undefined {
  if (!/^\s*multipart\/(?:x-)?byteranges\b/i.test(contentType)) return undefined;
  const match = BOUNDARY.exec(contentType);
  return match?.[1] ?? match?.[2];
}

/** Yields the content of the parts in the order of the body. Throws MULTIPART_INVALID. */
export async function* readMultipartRanges(
  body: AsyncIterable<Buffer> | Iterable<Buffer>,
  boundary: string,
): AsyncGenerator<PartPiece> {
  const parser = new MultipartParser(boundary);
  for await (const chunk of body) yield* parser.push(chunk);
  parser.finish();
}

type State = "preamble" | "headers" | "content" | "between" | "epilogue";

export class MultipartParser {
  readonly #delimiter: string;
  #state: State = "preamble";
  /** An incomplete line or header block, in latin1. */
  #text = "";
  #part: ContentRange | undefined;
  #offset = 0;

  constructor(boundary: string) {
    this.#delimiter = `--${boundary}`;
  }

  *push(chunk: Buffer): Generator<PartPiece> {
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
      if (this.#text.length > MULTIPART_HEADER_MAX_BYTES)
        throw createInvalidError("the headers of a part are too long");
      if (newline >= 0) this.#endLine();
    }
  }

  /** Throws MULTIPART_INVALID when the last boundary is missing. */
  finish(): void {
    const isEnd = this.#state === "epilogue" || this.#text.startsWith(`${this.#delimiter}--`);
    if (!isEnd) throw createInvalidError("the last boundary is missing");
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
      throw createInvalidError("a part is longer than its Content-Range");
  }

  #startPart(headers: string): void {
    const header = /^content-range:([^\r\n]*)/im.exec(headers)?.[1];
    const range = parseContentRange(header);
    if (!range)
      throw createInvalidError(header ? `invalid Content-Range "${header.trim()}"` : "no Content-Range");
    this.#part = range;
    this.#offset = range.start;
    this.#state = "content";
  }
}

function createInvalidError(fault: string): AgentError {
  return new AgentError("MULTIPART_INVALID", `Cannot read the multipart response: ${fault}`);
}
