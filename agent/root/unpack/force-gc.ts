/**
 * Frees the memory of buffers that were read and handed on: V8 sees a few bytes of each, waits until some 60 MB have gathered
 * and then looks through everything. Young ones go with a minor collection, which takes a fraction of a millisecond.
 */

import { DECOMPRESS_CHUNK_BYTES } from "../../archive/limits.ts";
import { LANE_QUEUE_BUFFERS, trimMemory } from "../../kernel/syscalls.ts";
import { COLLECT_BUFFERS_BYTES, COLLECT_FILES } from "../limits.ts";

/** There with `--expose-gc`, which the agent is started with (initrd/files/supervise-agent). */
type Collect = (options: { type: "minor" | "major" }) => void;

/** To be told how many bytes were dropped; collects now and then. */
export function createBufferCollector(everyBytes: number = COLLECT_BUFFERS_BYTES): (bytes: number) => void {
  const collect = (globalThis as { gc?: Collect }).gc;
  let droppedBytes = 0;
  return (bytes) => {
    droppedBytes += bytes;
    if (!collect || droppedBytes < everyBytes) return;
    droppedBytes = 0;
    collect({ type: "minor" });
  };
}

/**
 * Frees each chunk's memory when no lane can read it any more. Chunks that lanes held while V8 looked for young garbage
 * count as old, and of those it lets 60 MB gather.
 */
export async function* freeRead(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  const read: Buffer[] = [];
  for await (const chunk of chunks) {
    yield chunk;
    read.push(chunk);
    if (read.length > LANE_QUEUE_BUFFERS + 1) free(read.shift()!);
  }
}

/** Only whole memory of a chunk's size: the decompressor has gone on to another one when it has filled one to its end. */
function free({ buffer, byteOffset, length }: Buffer): void {
  const isFilled = byteOffset + length === buffer.byteLength && buffer.byteLength === DECOMPRESS_CHUNK_BYTES;
  if (isFilled && buffer instanceof ArrayBuffer) buffer.transfer(0);
}

/** Where memory is about to be needed: what was done for so many files may have left much behind. Takes some 30 ms. */
export function collectAfter(files: number): void {
  if (files <= COLLECT_FILES) return;
  (globalThis as { gc?: Collect }).gc?.({ type: "major" });
  trimMemory();
}
