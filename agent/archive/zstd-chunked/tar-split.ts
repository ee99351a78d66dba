/**
 * Reads a tar-split: everything of a tar but the contents, so that the tar can be put together again to the byte.
 * JSON lines of vbatts/tar-split: type 2 holds literal bytes, type 1 stands for a file's content.
 */

import { AgentError } from "../../errors.ts";
import { enlarge } from "../growing-bytes.ts";
import { TAR_SPLIT_LINE_MAX_BYTES, TAR_SPLIT_MAX_BYTES } from "../limits.ts";
import { toLatin1 } from "./table-names.ts";

export type TarSplitItem =
  /** Good until the next item. */
  | { kind: "literal"; bytes: Buffer }
  /** Stands for the content of a member; empty ones are told of too. `name` is latin1. */
  | { kind: "content"; name: string; sizeBytes: number };

const FILE_TYPE = 1;
const SEGMENT_TYPE = 2;
const NEWLINE = 0x0a;
/** Of lines that are parsed together: longer texts would be V8's large objects, which stay longer than they are of use. */
const BATCH_BYTES = 32 * 1024;

/** The items of a decompressed tar-split. Throws CHUNKED_BAD_TAR_SPLIT or CHUNKED_TOO_LARGE. */
export function* readTarSplit(
  chunks: Iterable<Buffer>,
  maxBytes: number = TAR_SPLIT_MAX_BYTES,
): Generator<TarSplitItem> {
  const decoder = new Base64Decoder();
  let totalBytes = 0;
  let room = Buffer.alloc(2 * BATCH_BYTES);
  let used = 0;
  for (const chunk of chunks) {
    totalBytes += chunk.length;
    if (totalBytes > maxBytes) throw tooLarge(`over ${maxBytes} bytes`);
    for (let start = 0; start < chunk.length; ) {
      if (used === room.length) room = enlarge(room, used, used + 1);
      const taken = chunk.copy(room, used, start, start + BATCH_BYTES);
      start += taken;
      used += taken;
      const end = room.lastIndexOf(NEWLINE, used - 1);
      if (end >= 0) {
        for (const value of parseLines(room.subarray(0, end))) yield readItem(value, decoder);
        room.copyWithin(0, end + 1, used);
        used -= end + 1;
      }
      if (used > TAR_SPLIT_LINE_MAX_BYTES) throw tooLarge(`a line of over ${TAR_SPLIT_LINE_MAX_BYTES} bytes`);
    }
  }
  for (const value of parseLines(room.subarray(0, used))) yield readItem(value, decoder);
}

/** Many in one go: a call of the parser for each costs several times as much. No text in JSON holds a newline. */
function parseLines(lines: Buffer): unknown[] {
  try {
    return JSON.parse(`[${lines.toString("utf8").trim().replace(/\n+/g, ",")}]`) as unknown[];
  } catch (cause) {
    throw bad("a line is no JSON", cause);
  }
}

function readItem(value: unknown, base64: Base64Decoder): TarSplitItem {
  if (typeof value !== "object" || value === null) throw bad("a line is no object");
  const { type, name = "", name_raw: rawName = null, size = 0, payload } = value as Record<string, unknown>;
  if (type === SEGMENT_TYPE) return { kind: "literal", bytes: base64.decode(payload ?? "") };
  if (type !== FILE_TYPE) throw bad(`a line is of type ${String(type).slice(0, 20)}`);
  if (typeof name !== "string") throw bad("a name is no text");
  if (typeof size !== "number" || !Number.isSafeInteger(size) || size < 0)
    throw bad("a size is out of range");
  const latin1Name = rawName === null ? toLatin1(name) : base64.decode(rawName).toString("latin1");
  return { kind: "content", name: latin1Name, sizeBytes: size };
}

/** Into memory of its own, again and again: the headers of 100,000 files are 100 MB. */
class Base64Decoder {
  #room = Buffer.alloc(4096);

  /** Good until the next call. */
  decode(value: unknown): Buffer {
    if (typeof value !== "string") throw bad("bytes are no text");
    if (this.#room.length < value.length) this.#room = Buffer.alloc(value.length);
    const length = this.#room.write(value, "base64");
    // Node skips what is not base64; a decoder that is not so kind would read other bytes.
    if (Math.ceil(length / 3) * 4 !== value.length) throw bad("bytes are not base64");
    return this.#room.subarray(0, length);
  }
}

function bad(fault: string, cause?: unknown): AgentError {
  return new AgentError("CHUNKED_BAD_TAR_SPLIT", `Cannot read the tar-split: ${fault}`, { cause });
}

function tooLarge(what: string): AgentError {
  return new AgentError("CHUNKED_TOO_LARGE", `Cannot read a tar-split with ${what}`);
}
