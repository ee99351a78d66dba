/**
 * The log's lines in parts that a server answers for: requests that stream (HTTP) and objects (S3). A part ends by size or time,
 * and its lines are taken when the server has said so; a part that failed is sent anew, as one of its own, from its first line on.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { formatNumberedLine } from "../../wire/numbered-line.ts";
import { NETWORK_LOG_CHUNK_BYTES, NETWORK_LOG_PART_BYTES, NETWORK_LOG_PART_MS } from "../limits.ts";
import type { LineSource, LogLine } from "./line-queue.ts";
import type { LogTransport } from "./line-sender.ts";

export interface LogPart {
  /** `log-1a2b3c4d-00001.txt`: no two parts have the same, and they sort as the lines do. */
  name: string;
  boot: string;
  firstNumber: number;
  /** Whole numbered lines; ends with the part. */
  body: AsyncIterable<Buffer>;
}

export interface BatchedLogOptions {
  place: string;
  /** Resolves when the server has the part for good. Ends soon after `signal`. */
  putPart(part: LogPart, options: { signal: AbortSignal }): Promise<void>;
  partMs?: number;
  partBytes?: number;
}

export function createBatchedLog({ place, putPart, ...options }: BatchedLogOptions): LogTransport {
  const { partMs = NETWORK_LOG_PART_MS, partBytes = NETWORK_LOG_PART_BYTES } = options;
  let parts = 0;
  return {
    place,
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
          // A body that nobody reads any more must not wait for lines that the next part is to have.
          settled.abort();
        }
        if (!reader.isWhole) throw new Error("it answered before it had the whole part");
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
  const reader = { lastNumber: 0, isWhole: false, body: read() };
  async function* read(): AsyncGenerator<Buffer> {
    let lines: LogLine[] | undefined = first;
    for (let sizeBytes = 0; lines; ) {
      const bytes = Buffer.concat(lines.map(formatNumberedLine));
      reader.lastNumber = lines.at(-1)!.number;
      yield bytes;
      sizeBytes += bytes.length;
      if (sizeBytes >= partBytes) break;
      // Many small lines make one chunk; nobody sees the difference.
      await sleep(GATHER_MS);
      lines = await source.next({ maxBytes: NETWORK_LOG_CHUNK_BYTES, signal: over });
    }
    reader.isWhole = true;
  }
  return reader;
}

const GATHER_MS = 50;
