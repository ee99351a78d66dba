/**
 * The log's lines in parts that a server confirms: streaming requests (HTTP) and objects (S3). A part ends by size or time. Its lines are
 * acknowledged once the server has confirmed it; after a failure they are sent again from the part's first line, in a new part.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { formatNumberedLine, type LogPart } from "../../wire/numbered-line.ts";
import { NETWORK_LOG_CHUNK_BYTES, NETWORK_LOG_PART_BYTES, NETWORK_LOG_PART_MS } from "../limits.ts";
import type { LineSource, LogLine } from "./line-queue.ts";
import type { LogTransport } from "./network-log.ts";

export interface BatchedLogOptions {
  location: string;
  /** Resolves when the server has stored the part. Settles soon after `signal`. */
  putPart(part: LogPart, options: { signal: AbortSignal }): Promise<void>;
  partMs?: number;
  partBytes?: number;
}

/** Gathers small lines into one chunk; no reader notices the delay. */
const GATHER_MS = 50;

export function createBatchedLog({ location, putPart, ...options }: BatchedLogOptions): LogTransport {
  const { partMs = NETWORK_LOG_PART_MS, partBytes = NETWORK_LOG_PART_BYTES } = options;
  let parts = 0;
  return {
    location,
    async run(source, { signal, onUp }) {
      for (;;) {
        const first = await source.next({ maxBytes: NETWORK_LOG_CHUNK_BYTES, signal });
        if (!first) return;
        const settled = new AbortController();
        const over = AbortSignal.any([settled.signal, AbortSignal.timeout(partMs)]);
        const reader = readPart(source, first, { over, partBytes });
        const { boot, number } = first[0]!;
        const name = `log-${boot}-${String(++parts).padStart(5, "0")}.txt`;
        try {
          await putPart({ name, boot, firstNumber: number, body: reader.body }, { signal });
        } finally {
          // A body that is no longer read must not take lines that belong to the next part.
          settled.abort();
        }
        if (!reader.isComplete) throw new Error("the server answered before it had the whole part");
        source.acknowledge(reader.lastNumber);
        onUp();
      }
    },
  };
}

function readPart(
  source: LineSource,
  first: LogLine[],
  { over, partBytes }: { over: AbortSignal; partBytes: number },
) {
  const reader = { lastNumber: 0, isComplete: false, body: read() };
  async function* read(): AsyncGenerator<Buffer> {
    let lines: LogLine[] | undefined = first;
    for (let sizeBytes = 0; lines; ) {
      const bytes = Buffer.concat(lines.map(formatNumberedLine));
      reader.lastNumber = lines.at(-1)!.number;
      yield bytes;
      sizeBytes += bytes.length;
      if (sizeBytes >= partBytes) break;
      await sleep(GATHER_MS);
      lines = await source.next({ maxBytes: NETWORK_LOG_CHUNK_BYTES, signal: over });
    }
    reader.isComplete = true;
  }
  return reader;
}
