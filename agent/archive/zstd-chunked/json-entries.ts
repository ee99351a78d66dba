/**
 * Reads `{"a":1,"entries":[{…},{…}],…}` piece by piece, one element of the list at a time.
 * A table of contents of 100,000 files is 50 MB of JSON, which parsed at once would not fit an agent's memory.
 */

import { isUtf8 } from "node:buffer";
import { AgentError } from "../../errors.ts";
import { TOC_ENTRY_MAX_BYTES } from "../limits.ts";

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;
const COMMA = 0x2c;

/** How many brackets are open where an element of a list of the top object stands. */
const ELEMENT_DEPTH = 2;

/**
 * Between two elements as the writers make them. A quote in a string is escaped or ends it, and then no letter follows:
 * so this stands in no string. Should it stand deeper than the list's elements, what is cut there is no JSON.
 */
const BOUNDARY = '},{"type":';
const BATCH_BYTES = 256 * 1024;
const OPEN = Buffer.from("[");
const CLOSE = Buffer.from("]");

export class JsonEntriesReader {
  readonly #listStart: RegExp;
  readonly #onElement: (element: unknown) => void;
  #depth = 0;
  #inString = false;
  #isEscaped = false;
  #inList = false;
  #hadList = false;
  /** The object around the list, or the element being collected. */
  readonly #frame: Buffer[] = [];
  #element: Buffer[] = [];
  #collectedBytes = 0;
  #elementCount = 0;
  /** While elements are parsed many at a time: what is left of the last batch, and what came since. */
  #takesBatches = false;
  #batch: Buffer[] = [];
  #batchBytes = 0;

  constructor(listKey: string, onElement: (element: unknown) => void) {
    this.#listStart = new RegExp(`"${listKey}"\\s*:\\s*\\[$`);
    this.#onElement = onElement;
  }

  /** Throws CHUNKED_BAD_TOC. */
  push(chunk: Buffer): void {
    if (!this.#takesBatches) {
      this.#scan(chunk);
      return;
    }
    this.#batch.push(Buffer.from(chunk));
    this.#batchBytes += chunk.length;
    if (this.#batchBytes >= BATCH_BYTES) this.#parseBatch();
  }

  /** As many elements as are whole, in one go: a call of the parser for each of them costs several times as much. */
  #parseBatch(): void {
    const bytes = Buffer.concat(this.#batch);
    const end = bytes.lastIndexOf(BOUNDARY);
    // Written in another way, or far too long: byte by byte then.
    if (end < 0) {
      this.#leaveBatches(bytes);
      return;
    }
    const rest = bytes.subarray(end + 2);
    this.#batch = [rest];
    this.#batchBytes = rest.length;
    const elements = parseJson([OPEN, bytes.subarray(0, end + 1), CLOSE]) as unknown[];
    this.#elementCount += elements.length;
    for (const element of elements) this.#onElement(element);
  }

  #leaveBatches(bytes: Buffer): void {
    this.#takesBatches = false;
    this.#batch = [];
    this.#batchBytes = 0;
    this.#scan(bytes);
  }

  #scan(chunk: Buffer): void {
    let start = 0;
    for (let index = 0; index < chunk.length; index++) {
      const byte = chunk[index]!;
      if (this.#inString) {
        if (this.#isEscaped) this.#isEscaped = false;
        else if (byte === BACKSLASH) this.#isEscaped = true;
        else if (byte === QUOTE) this.#inString = false;
      } else if (byte === QUOTE) {
        this.#inString = true;
      } else if (byte === OPEN_BRACE || byte === OPEN_BRACKET) {
        this.#depth++;
        if (this.#depth !== ELEMENT_DEPTH || this.#inList || byte === OPEN_BRACE) continue;
        this.#collect(chunk.subarray(start, index + 1));
        start = index + 1;
        if (this.#enterList()) {
          this.#takesBatches = true;
          this.push(chunk.subarray(start));
          return;
        }
      } else if (byte === CLOSE_BRACE || byte === CLOSE_BRACKET) {
        this.#depth--;
        if (!this.#inList || this.#depth >= ELEMENT_DEPTH) continue;
        this.#collect(chunk.subarray(start, index));
        start = index;
        this.#endElement(true);
        this.#inList = false;
      } else if (byte === COMMA && this.#inList && this.#depth === ELEMENT_DEPTH) {
        this.#collect(chunk.subarray(start, index));
        start = index + 1;
        this.#endElement(false);
      }
    }
    this.#collect(chunk.subarray(start));
  }

  /** The object around the list, which stands empty in it. Throws CHUNKED_BAD_TOC. */
  finish(): unknown {
    if (this.#takesBatches) this.#parseBatch();
    if (this.#takesBatches) this.#leaveBatches(Buffer.concat(this.#batch));
    if (this.#depth !== 0 || this.#inString) throw badJson("it is cut, or its brackets do not match");
    return parseJson(this.#frame);
  }

  #enterList(): boolean {
    if (!this.#listStart.test(Buffer.concat(this.#frame).toString("latin1"))) return false;
    if (this.#hadList) throw badJson("it has its list of entries twice");
    this.#hadList = true;
    this.#inList = true;
    this.#collectedBytes = 0;
    return true;
  }

  #collect(bytes: Buffer): void {
    if (bytes.length === 0) return;
    this.#collectedBytes += bytes.length;
    if (this.#collectedBytes > TOC_ENTRY_MAX_BYTES)
      throw badJson(`an entry has over ${TOC_ENTRY_MAX_BYTES} bytes`);
    (this.#inList ? this.#element : this.#frame).push(Buffer.from(bytes));
  }

  #endElement(isLast: boolean): void {
    const bytes = Buffer.concat(this.#element);
    this.#element = [];
    this.#collectedBytes = 0;
    const isEmptyList = isLast && this.#elementCount === 0 && bytes.toString("latin1").trim() === "";
    if (isEmptyList) return;
    this.#elementCount++;
    this.#onElement(parseJson([bytes]));
  }
}

function parseJson(parts: readonly Buffer[]): unknown {
  const bytes = parts.length === 1 ? parts[0]! : Buffer.concat(parts);
  if (!isUtf8(bytes)) throw badJson("it is not UTF-8");
  try {
    return JSON.parse(bytes.toString("utf8"));
  } catch (cause) {
    throw badJson((cause as Error).message, cause);
  }
}

function badJson(fault: string, cause?: unknown): AgentError {
  return new AgentError("CHUNKED_BAD_TOC", `Cannot read the table of contents: ${fault}`, { cause });
}
