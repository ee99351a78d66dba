/**
 * Frees the memory of buffers that were read and handed on: V8 sees a few bytes of each, waits until some 60 MB have gathered
 * and then looks through everything. Young ones go with a minor collection, which takes a fraction of a millisecond.
 */
import { trimMemory } from "../kernel/syscalls.ts";
import { COLLECT_BUFFERS_BYTES } from "../limits.ts";

/** There with `--expose-gc`, which the agent is started with (initrd/files/run-agent). */
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

/** Before something large is made: what a pull of very many files has left goes first. Takes some 30 ms. */
export function collectAll(): void {
  (globalThis as { gc?: Collect }).gc?.({ type: "major" });
  trimMemory();
}
