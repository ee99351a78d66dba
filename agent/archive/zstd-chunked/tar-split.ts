/**
 * Reads a tar-split: everything of a tar but the contents, so that the tar can be put together again to the byte.
 * JSON lines of vbatts/tar-split: type 2 holds literal bytes, type 1 stands for a file's content.
 */

import { AgentError } from "../../errors.ts";
import { TAR_SPLIT_LINE_MAX_BYTES, TAR_SPLIT_MAX_BYTES } from "../../limits.ts";
import { toLatin1 } from "./table-names.ts";

export type TarSplitItem =
  /** Good until the next item. */
  | { kind: "literal"; bytes: Buffer }
  /** Stands for the content of a member; empty ones are told of too. `name` is latin1. */
  | { kind: "content"; name: string; sizeBytes: number };

const FILE_TYPE = 1;
const SEGMENT_TYPE = 2;
const NEWLINE = 0x0a;

/** The items of a decompressed tar-split. Throws CHUNKED_BAD_TAR_SPLIT or CHUNKED_TOO_LARGE. */
export function* readTarSplit(
  chunks: Iterable<Buffer>,
  maxBytes: number = TAR_SPLIT_MAX_BYTES,
): Generator<TarSplitItem> {
  const decoder = new Base64Decoder();
  let totalBytes = 0;
  let rest: Buffer[] = [];
  let restBytes = 0;
  for (const chunk of chunks) {
    totalBytes += chunk.length;
    if (totalBytes > maxBytes) throw tooLarge(`over ${maxBytes} bytes`);
    const end = chunk.lastIndexOf(NEWLINE);
    if (end >= 0) {
      const lines = Buffer.concat([...rest, chunk.subarray(0, end)]);
      rest = [];
      restBytes = 0;
      for (const value of parseLines(lines)) yield readItem(value, decoder);
    }
    // The producer may use its buffer again.
    rest.push(Buffer.from(chunk.subarray(end + 1)));
    restBytes += rest.at(-1)!.length;
    if (restBytes > TAR_SPLIT_LINE_MAX_BYTES)
      throw tooLarge(`a line of over ${TAR_SPLIT_LINE_MAX_BYTES} bytes`);
  }
  for (const value of parseLines(Buffer.concat(rest))) yield readItem(value, decoder);
}

/** All in one go, since a call of the parser for each costs several times as much; no text in JSON holds a newline. */
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
