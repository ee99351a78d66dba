/**
 * Reads a tar-split: all of a tar except the contents, from which the tar can be rebuilt byte for byte.
 * JSON lines of vbatts/tar-split: type 2 has literal bytes, type 1 is the place of a file's content.
 */

import { AgentError } from "../../errors.ts";
import { enlarge } from "../enlarge.ts";
import { TAR_SPLIT_LINE_MAX_BYTES, TAR_SPLIT_MAX_BYTES } from "../limits.ts";

export type TarSplitItem =
  /** Valid until the next item. */
  | { kind: "literal"; bytes: Buffer }
  /** The place of a member's content, which may be empty. `name` is latin1. */
  | { kind: "content"; name: string; sizeBytes: number };

const FILE_TYPE = 1;
const SEGMENT_TYPE = 2;
const NEWLINE = 0x0a;
/** Lines that are parsed together. V8 collects longer strings, its large objects, less often. */
const BATCH_BYTES = 32 * 1024;

/** The items of a decompressed tar-split. Throws CHUNKED_BAD_TAR_SPLIT or CHUNKED_TOO_LARGE. */
export function* readTarSplit(
  chunks: Iterable<Buffer>,
  maxBytes: number = TAR_SPLIT_MAX_BYTES,
): Generator<TarSplitItem> {
  const decoder = new Base64Decoder();
  let totalBytes = 0;
  let memory = Buffer.alloc(2 * BATCH_BYTES);
  let used = 0;
  for (const chunk of chunks) {
    totalBytes += chunk.length;
    if (totalBytes > maxBytes) throw tooLarge(`over ${maxBytes} bytes`);
    for (let start = 0; start < chunk.length; ) {
      if (used === memory.length) memory = enlarge(memory, used, used + 1);
      const taken = chunk.copy(memory, used, start, start + BATCH_BYTES);
      start += taken;
      used += taken;
      const end = memory.lastIndexOf(NEWLINE, used - 1);
      if (end >= 0) {
        for (const value of parseLines(memory.subarray(0, end))) yield readItem(value, decoder);
        memory.copyWithin(0, end + 1, used);
        used -= end + 1;
      }
      if (used > TAR_SPLIT_LINE_MAX_BYTES) throw tooLarge(`a line of over ${TAR_SPLIT_LINE_MAX_BYTES} bytes`);
    }
  }
  for (const value of parseLines(memory.subarray(0, used))) yield readItem(value, decoder);
}

/** All at once, which is several times as fast as line by line. A string in JSON contains no newline. */
function parseLines(lines: Buffer): unknown[] {
  try {
    return JSON.parse(`[${lines.toString("utf8").trim().replace(/\n+/g, ",")}]`) as unknown[];
  } catch (cause) {
    throw bad("a line is not JSON", cause);
  }
}

function readItem(value: unknown, base64: Base64Decoder): TarSplitItem {
  if (typeof value !== "object" || value === null) throw bad("a line is not an object");
  const { type, name = "", name_raw: rawName = null, size = 0, payload } = value as Record<string, unknown>;
  if (type === SEGMENT_TYPE) return { kind: "literal", bytes: base64.decode(payload ?? "") };
  if (type !== FILE_TYPE) throw bad(`a line has type ${String(type).slice(0, 20)}`);
  if (typeof name !== "string") throw bad("a name is not text");
  if (typeof size !== "number" || !Number.isSafeInteger(size) || size < 0)
    throw bad("a size is out of range");
  const latin1Name = rawName === null ? toLatin1(name) : base64.decode(rawName).toString("latin1");
  return { kind: "content", name: latin1Name, sizeBytes: size };
}

/** Reuses its memory: the headers of 100,000 files are 100 MB. */
class Base64Decoder {
  #memory = Buffer.alloc(4096);

  /** Valid until the next call. */
  decode(value: unknown): Buffer {
    if (typeof value !== "string") throw bad("bytes are not text");
    if (this.#memory.length < value.length) this.#memory = Buffer.alloc(value.length);
    const length = this.#memory.write(value, "base64");
    // Node skips invalid characters, which other decoders refuse.
    if (Math.ceil(length / 3) * 4 !== value.length) throw bad("bytes are not base64");
    return this.#memory.subarray(0, length);
  }
}

function bad(fault: string, cause?: unknown): AgentError {
  return new AgentError("CHUNKED_BAD_TAR_SPLIT", `Cannot read the tar-split: ${fault}`, { cause });
}

function tooLarge(fault: string): AgentError {
  return new AgentError("CHUNKED_TOO_LARGE", `Cannot read a tar-split with ${fault}`);
}

/** The UTF-8 bytes of a string from JSON. */
export function toLatin1(text: string): string {
  return isAscii(text) ? text : Buffer.from(text, "utf8").toString("latin1");
}

/** A name as a TOC has it, without the bytes that are not UTF-8. */
export function toTableName(name: string): string {
  return isAscii(name) ? name : toLatin1(Buffer.from(name, "latin1").toString("utf8"));
}

function isAscii(text: string): boolean {
  for (let index = 0; index < text.length; index++) if (text.charCodeAt(index) > 0x7f) return false;
  return true;
}
