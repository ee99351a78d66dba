/**
 * Parses a TOC's JSON in batches of entries: for 100,000 files it is 50 MB, which parsed at once would not fit the
 * agent's memory. The text is cut between two entries as Go prints them; the batches must be valid JSON themselves, so
 * a cut elsewhere is an error. A TOC that is printed in another way is parsed at once, which works for a small one.
 */

import { isUtf8 } from "node:buffer";
import { AgentError } from "../../errors.ts";
import { TOC_BATCH_MAX_BYTES } from "../limits.ts";

const ENTRY_BOUNDARY = '},{"type":';
const BATCH_BYTES = 256 * 1024;

export class TocJsonReader {
  readonly #onEntry: (entry: unknown) => void;
  #chunks: Buffer[] = [];
  #bytes = 0;
  /** Fields of the TOC that come before the second batch. */
  #head: Record<string, unknown> | undefined;

  constructor(onEntry: (entry: unknown) => void) {
    this.#onEntry = onEntry;
  }

  /** Throws CHUNKED_BAD_TOC, and what `onEntry` throws. */
  push(chunk: Buffer): void {
    this.#chunks.push(Buffer.from(chunk));
    this.#bytes += chunk.length;
    if (this.#bytes < BATCH_BYTES) return;
    const bytes = Buffer.concat(this.#chunks);
    const end = bytes.lastIndexOf(ENTRY_BOUNDARY) + 1;
    if (end > 0) this.#parseBatch(bytes.subarray(0, end));
    const rest = bytes.subarray(end === 0 ? 0 : end + 1);
    if (rest.length > TOC_BATCH_MAX_BYTES)
      throw badJson(`it has no boundary between entries within ${TOC_BATCH_MAX_BYTES} bytes`);
    this.#chunks = [rest];
    this.#bytes = rest.length;
  }

  /** The TOC's fields; `entries` is not all of them. Throws CHUNKED_BAD_TOC, and what `onEntry` throws. */
  finish(): Record<string, unknown> {
    const rest = Buffer.concat(this.#chunks);
    if (this.#head === undefined) return this.#takeHead(parseJson("", rest, ""));
    const { rest: entries, ...tail } = parseJson('{"rest":[', rest, "") as Record<string, unknown>;
    if ("entries" in tail) throw badJson("it has two lists of entries");
    this.#emit(entries);
    return { ...this.#head, ...tail };
  }

  #parseBatch(bytes: Buffer): void {
    if (this.#head !== undefined) this.#emit(parseJson("[", bytes, "]"));
    else this.#head = this.#takeHead(parseJson("", bytes, "]}"));
  }

  #takeHead(head: unknown): Record<string, unknown> {
    if (typeof head !== "object" || head === null) throw badJson("it is not an object");
    const { entries } = head as Record<string, unknown>;
    if (entries !== null) this.#emit(entries);
    return head as Record<string, unknown>;
  }

  #emit(entries: unknown): void {
    if (!Array.isArray(entries)) throw badJson("it has no list of entries");
    for (const entry of entries) this.#onEntry(entry);
  }
}

function parseJson(before: string, bytes: Buffer, after: string): unknown {
  if (!isUtf8(bytes)) throw badJson("it is not UTF-8");
  try {
    return JSON.parse(`${before}${bytes.toString("utf8")}${after}`);
  } catch (cause) {
    throw badJson((cause as Error).message, cause);
  }
}

function badJson(fault: string, cause?: unknown): AgentError {
  return new AgentError("CHUNKED_BAD_TOC", `Cannot read the table of contents: ${fault}`, { cause });
}
