/**
 * Frees memory before V8 would: V8 counts only a few bytes of each buffer, waits until some 60 MB have accumulated outside of
 * its heap, and then runs a full collection. docs/benchmark.md has the gain.
 */
import { DECOMPRESS_CHUNK_BYTES } from "../../archive/limits.ts";
import { QUEUE_BUFFERS, trimMemory } from "../../kernel/syscalls.ts";
import { COLLECT_BUFFERS_BYTES, COLLECT_FILES } from "../limits.ts";

/** Defined by `--expose-gc` (initrd/files/supervise-agent). */
const collect = (globalThis as { gc?: (options: { type: "minor" | "major" }) => void }).gc;

/** To be called with the size of each dropped buffer; runs a minor collection, of a fraction of a millisecond, now and then. */
export function createBufferCollector(): (bytes: number) => void {
  let droppedBytes = 0;
  return (bytes) => {
    droppedBytes += bytes;
    if (droppedBytes < COLLECT_BUFFERS_BYTES) return;
    droppedBytes = 0;
    collect?.({ type: "minor" });
  };
}

/**
 * Frees each chunk's memory when no hash thread reads it any more: chunks that hash threads held during a minor collection
 * become old, and only a full collection frees those.
 */
export async function* freeRead(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  const read: Buffer[] = [];
  for await (const chunk of chunks) {
    yield chunk;
    read.push(chunk);
    if (read.length <= QUEUE_BUFFERS + 1) continue;
    const { buffer, byteOffset, length } = read.shift()!;
    // The decompressor goes on to another buffer once it has filled one.
    const isFilled =
      byteOffset + length === buffer.byteLength && buffer.byteLength === DECOMPRESS_CHUNK_BYTES;
    if (isFilled && buffer instanceof ArrayBuffer) buffer.transfer(0);
  }
}

/** Runs a full collection, of some 30 ms, when many files were handled, before a step that needs much memory. */
export function collectAfter(files: number): void {
  if (files <= COLLECT_FILES) return;
  collect?.({ type: "major" });
  trimMemory();
}
