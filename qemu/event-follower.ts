/**
 * Reads the guest's events, during the run, from the file that QEMU writes for the virtio-serial port.
 * A stream has ended only if its last line is a valid `end` record (vmtest's rule).
 */
import { type FileHandle, open } from "node:fs/promises";
import { type EventLine, parseEventLine } from "../agent/wire/event.ts";
import { parseVerdict } from "../agent/wire/verdict.ts";

export type EndEvent = Extract<EventLine, { event: "end" }>;

export interface EventFollower {
  readonly events: readonly EventLine[];
  /** The final record, if it is the last line. */
  readonly end: EndEvent | undefined;
  /** Number of lines that are not events; a valid stream has none. */
  readonly badLines: number;
  /** Reads what was added since the last call. */
  poll(): Promise<void>;
  close(): Promise<void>;
}

const POLL_CHUNK_BYTES = 64 * 1024;
/** Limit on the bytes of events; the rest is not read. */
const EVENTS_MAX_BYTES = 64 * 1024 * 1024;

/** Creates `path`, which must not exist, and follows it; calls `onEvent` for each event. */
export async function followEvents(
  path: string,
  onEvent?: (event: EventLine) => void,
): Promise<EventFollower> {
  const file = await open(path, "wx+", 0o644);
  const events: EventLine[] = [];
  let offset = 0;
  let cut = Buffer.alloc(0);
  let end: EndEvent | undefined;
  let badLines = 0;
  let bootId: string | undefined;
  const takeLine = (line: string) => {
    const event = parseEventLine(line);
    // Other output may precede the agent's start record, but nothing may follow the final one.
    end = undefined;
    if (event?.event === "start") bootId ??= event.bootId;
    // If the agent never started, the supervisor's final record has no start record before it.
    const isOfThisBoot =
      event?.event !== "end" || (bootId ?? event.verdict?.bootId) === event.verdict?.bootId;
    if (!event || !isOfThisBoot || (event.event === "end" && !parseVerdict(event.verdict))) {
      badLines += 1;
      return;
    }
    events.push(event);
    if (event.event === "end") end = event;
    onEvent?.(event);
  };
  return {
    events,
    get end() {
      return cut.length === 0 ? end : undefined;
    },
    get badLines() {
      return badLines;
    },
    async poll() {
      for (;;) {
        const chunk = await readChunk(file, offset);
        if (chunk.length === 0) return;
        offset += chunk.length;
        const bytes = Buffer.concat([cut, chunk]);
        const lastLineEnd = bytes.lastIndexOf(0x0a);
        cut = bytes.subarray(lastLineEnd + 1);
        if (lastLineEnd < 0) continue;
        for (const line of bytes.toString("utf8", 0, lastLineEnd).split("\n")) takeLine(line);
      }
    },
    close: () => file.close(),
  };
}

async function readChunk(file: FileHandle, offset: number): Promise<Buffer> {
  const sizeBytes = Math.min(POLL_CHUNK_BYTES, EVENTS_MAX_BYTES - offset);
  if (sizeBytes <= 0) return Buffer.alloc(0);
  const { buffer, bytesRead } = await file.read(Buffer.alloc(sizeBytes), 0, sizeBytes, offset);
  return buffer.subarray(0, bytesRead);
}
