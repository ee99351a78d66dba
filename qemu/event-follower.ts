/**
 * The guest's events, read from the file QEMU writes its virtio-serial port to, while the run goes on.
 * A stream counts as ended only when its very last line is a sound `end` record (vmtest's rule).
 */
import { type FileHandle, open } from "node:fs/promises";
import { type EventLine, parseEventLine } from "../agent/wire/event.ts";
import { parseVerdict } from "../agent/wire/exit-code.ts";

export type EndEvent = Extract<EventLine, { event: "end" }>;

export interface EventFollower {
  readonly events: readonly EventLine[];
  /** The final record, while it is the last line. */
  readonly end: EndEvent | undefined;
  /** Lines that were no events; a sound stream has none. */
  readonly badLines: number;
  /** Reads what has come since the last time. */
  poll(): Promise<void>;
  close(): Promise<void>;
}

const POLL_CHUNK_BYTES = 64 * 1024;
/** A guest that writes more than this in events is broken or hostile; the rest is not read. */
const EVENTS_MAX_BYTES = 64 * 1024 * 1024;

/** Creates `path` (it must not exist) and follows it; `onEvent` sees each event as it is read. */
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
    // The agent's start record may follow noise, but nothing at all may follow the end.
    end = undefined;
    if (event?.event === "start") bootId ??= event.bootId;
    // The keeper of an agent that never started has no start record before its end.
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
