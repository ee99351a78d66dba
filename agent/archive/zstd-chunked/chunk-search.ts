/**
 * Finds chunks in the text of another archive's TOC without parsing all of it: only a few of 10,000 entries are of use.
 * The result is a hint: the caller compares digests, so the TOC need not be trusted.
 */

import { enlarge } from "../enlarge.ts";

export interface FoundChunk {
  /** sha256 (hex) of the chunk. */
  digest: string;
  /** sha256 (hex) of the file that has it, and where. */
  fileDigest: string;
  fileOffset: number;
}

/** As Go prints entries; in a TOC that is printed in another way, nothing is found. */
const ENTRY = '{"type":"';
const FILE_ENTRY = '{"type":"reg"';
const NEXT_ENTRY = '},{"type":"';
const LIST_END = "}]";
const CHUNK_DIGEST = '"chunkDigest":"sha256:';
const DIGEST_CHARS = 64;

/** Takes the TOC in pieces, each valid until the next; `isWanted` gets the sha256 (hex) of each chunk. */
export function* searchChunks(
  pieces: Iterable<Buffer>,
  isWanted: (digest: string) => boolean,
): Generator<FoundChunk> {
  let memory = Buffer.alloc(0);
  /** Bytes of incomplete entries, at the start of the memory. */
  let restBytes = 0;
  /** The last file's entry before this text: chunks follow their file. */
  let file = Buffer.alloc(0);
  for (const piece of pieces) {
    const length = restBytes + piece.length;
    if (length > memory.length) memory = enlarge(memory, restBytes, length);
    piece.copy(memory, restBytes);
    const text = memory.subarray(0, length);
    const end = text.lastIndexOf(NEXT_ENTRY) + 1;
    yield* searchEntries(text.subarray(0, end), file, isWanted);
    const lastFile = text.lastIndexOf(FILE_ENTRY, end);
    if (lastFile >= 0 && lastFile < end) file = Buffer.from(cutEntry(text, lastFile));
    memory.copyWithin(0, end, length);
    restBytes = length - end;
  }
  const rest = memory.subarray(0, restBytes);
  yield* searchEntries(rest.subarray(0, rest.lastIndexOf(LIST_END) + 1), file, isWanted);
}

function* searchEntries(
  text: Buffer,
  fileBefore: Buffer,
  isWanted: (digest: string) => boolean,
): Generator<FoundChunk> {
  for (let hit = text.indexOf(CHUNK_DIGEST); hit >= 0; hit = text.indexOf(CHUNK_DIGEST, hit + 1)) {
    const start = hit + CHUNK_DIGEST.length;
    const digest = text.toString("latin1", start, start + DIGEST_CHARS);
    if (!isWanted(digest)) continue;
    const fileStart = text.lastIndexOf(FILE_ENTRY, hit);
    const file = parseEntry(fileStart < 0 ? fileBefore : cutEntry(text, fileStart));
    const chunk = parseEntry(cutEntry(text, text.lastIndexOf(ENTRY, hit)));
    if (file.name !== chunk.name || file.digest === undefined) continue;
    yield { digest, fileDigest: file.digest, fileOffset: chunk.fileOffset };
  }
}

function cutEntry(text: Buffer, start: number): Buffer {
  const next = text.indexOf(NEXT_ENTRY, start);
  return text.subarray(start, next < 0 ? text.length : next + 1);
}

function parseEntry(text: Buffer): { name: unknown; digest: string | undefined; fileOffset: number } {
  let entry: Record<string, unknown> = {};
  try {
    entry = JSON.parse(text.toString()) as typeof entry;
  } catch {
    // Printed in another way.
  }
  const { name, digest, chunkOffset = 0 } = entry;
  const match = /^sha256:([0-9a-f]{64})$/.exec(String(digest));
  return {
    name,
    digest: match?.[1],
    fileOffset: Number.isSafeInteger(chunkOffset) ? Number(chunkOffset) : 0,
  };
}
