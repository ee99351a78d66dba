/**
 * Reads a tar-split: everything of a tar but the contents, so that the tar can be put together again to the byte.
 * JSON lines of vbatts/tar-split: type 2 holds literal bytes, type 1 stands for a file's content.
 */

import { AgentError } from "../../errors.ts";
import { TAR_SPLIT_LINE_MAX_BYTES, TAR_SPLIT_MAX_BYTES } from "../../limits.ts";

export type TarSplitItem =
  | { kind: "literal"; bytes: Buffer }
  /** Stands for the content of a member; empty ones are told of too. `name` is latin1. */
  | { kind: "content"; name: string; sizeBytes: number };

const FILE_TYPE = 1;
const SEGMENT_TYPE = 2;
const NEWLINE = 0x0a;

/** The items of a decompressed tar-split. Throws CHUNKED_BAD_TAR_SPLIT or CHUNKED_TOO_LARGE. */
export async function* readTarSplit(
  chunks: AsyncIterable<Buffer> | Iterable<Buffer>,
  maxBytes: number = TAR_SPLIT_MAX_BYTES,
): AsyncGenerator<TarSplitItem> {
  let totalBytes = 0;
  let rest: Buffer[] = [];
  let restBytes = 0;
  for await (const chunk of chunks) {
    totalBytes += chunk.length;
    if (totalBytes > maxBytes) throw tooLarge(`over ${maxBytes} bytes`);
    let start = 0;
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, start)) {
      rest.push(chunk.subarray(start, end));
      const line = rest.length === 1 ? rest[0]! : Buffer.concat(rest);
      rest = [];
      restBytes = 0;
      start = end + 1;
      if (line.length > 0) yield parseItem(line);
    }
    if (start === chunk.length) continue;
    // The producer may use its buffer again.
    rest.push(Buffer.from(chunk.subarray(start)));
    restBytes += chunk.length - start;
    if (restBytes > TAR_SPLIT_LINE_MAX_BYTES)
      throw tooLarge(`a line of over ${TAR_SPLIT_LINE_MAX_BYTES} bytes`);
  }
  if (restBytes > 0) yield parseItem(Buffer.concat(rest));
}

function parseItem(line: Buffer): TarSplitItem {
  let value: unknown;
  try {
    value = JSON.parse(line.toString("utf8"));
  } catch (cause) {
    throw bad("a line is no JSON", cause);
  }
  if (typeof value !== "object" || value === null) throw bad("a line is no object");
  const { type, name = "", name_raw: rawName = null, size = 0, payload } = value as Record<string, unknown>;
  if (type === SEGMENT_TYPE) return { kind: "literal", bytes: decodeBase64(payload ?? "") };
  if (type !== FILE_TYPE) throw bad(`a line is of type ${String(type).slice(0, 20)}`);
  if (typeof name !== "string") throw bad("a name is no text");
  if (typeof size !== "number" || !Number.isSafeInteger(size) || size < 0)
    throw bad("a size is out of range");
  const nameBytes = rawName === null ? Buffer.from(name, "utf8") : decodeBase64(rawName);
  return { kind: "content", name: nameBytes.toString("latin1"), sizeBytes: size };
}

function decodeBase64(value: unknown): Buffer {
  if (typeof value !== "string") throw bad("bytes are no text");
  const bytes = Buffer.from(value, "base64");
  // Node skips what is not base64; a decoder that is not so kind would read other bytes.
  if (Math.ceil(bytes.length / 3) * 4 !== value.length) throw bad("bytes are not base64");
  return bytes;
}

function bad(fault: string, cause?: unknown): AgentError {
  return new AgentError("CHUNKED_BAD_TAR_SPLIT", `Cannot read the tar-split: ${fault}`, { cause });
}

function tooLarge(what: string): AgentError {
  return new AgentError("CHUNKED_TOO_LARGE", `Cannot read a tar-split with ${what}`);
}
