/**
 * Many transfers side by side within bounds: so many at a time, and so many bytes of buffers among them.
 * One that fails leaves the others alone; what failed is the caller's to count.
 */
import { VOLUME_TRANSFER_BUFFER_BYTES, VOLUME_TRANSFERS_AT_A_TIME } from "./limits.ts";

export interface WorkBounds {
  atATime?: number;
  bufferBytes?: number;
}

/** `run` must not reject, but for the signal. An item larger than the bound runs alone. */
export async function runBounded<Item>(
  items: Iterable<Item>,
  sizeOf: (item: Item) => number,
  run: (item: Item) => Promise<void>,
  { atATime = VOLUME_TRANSFERS_AT_A_TIME, bufferBytes = VOLUME_TRANSFER_BUFFER_BYTES }: WorkBounds = {},
): Promise<void> {
  const running = new Set<Promise<void>>();
  let heldBytes = 0;
  try {
    for (const item of items) {
      const weight = Math.min(sizeOf(item), bufferBytes);
      while (running.size >= atATime || (running.size > 0 && heldBytes + weight > bufferBytes))
        await Promise.race(running);
      heldBytes += weight;
      const work: Promise<void> = run(item).finally(() => {
        running.delete(work);
        heldBytes -= weight;
      });
      running.add(work);
    }
    await Promise.all(running);
  } finally {
    await Promise.allSettled(running);
  }
}
