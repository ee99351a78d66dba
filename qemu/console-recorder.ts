/**
 * The serial console of a run: every byte into a file and to the caller, lines watched for a kernel panic.
 * What the console says never makes a verdict; it only explains why one is missing.
 */
import { createWriteStream } from "node:fs";
import { finished } from "node:stream/promises";

export interface ConsoleRecorder {
  write(chunk: Buffer): void;
  /** The text after "Kernel panic - not syncing: ", of the last one that was seen. */
  readonly panic: string | undefined;
  /** The last line that was not empty, for messages. */
  readonly lastLine: string;
  /** Resolves when the file is whole. */
  close(): Promise<void>;
}

/** Longer lines are watched in pieces; the file gets them as they are. */
const WATCHED_LINE_MAX_BYTES = 4096;
/** The kernel's own "---[ end Kernel panic" line only repeats it. */
const PANIC = /(?<!end )Kernel panic - not syncing(?:: )?(.*)/;

/** Records to `path`, which must not exist. */
export function createConsoleRecorder(path: string, onChunk?: (chunk: Buffer) => void): ConsoleRecorder {
  const file = createWriteStream(path, { flags: "wx" });
  const written = finished(file);
  // Whoever closes sees the failure; without this line an early one would end the process first.
  written.catch(() => {});
  let panic: string | undefined;
  let lastLine = "";
  let open = "";
  const watchLine = (line: string) => {
    const text = line.replaceAll(/\x1b\[[0-9;?]*[A-Za-z]|[\x00-\x1f\x7f]/g, "").trim();
    if (text) lastLine = text;
    // The last one counts: after the kernel's there is no other, before it a test may have printed any.
    panic = PANIC.exec(text)?.[1] ?? panic;
  };
  return {
    write(chunk) {
      file.write(chunk);
      onChunk?.(chunk);
      const lines = (open + chunk.toString("latin1")).split("\n");
      open = lines.pop() ?? "";
      lines.forEach(watchLine);
      if (open.length > WATCHED_LINE_MAX_BYTES) {
        watchLine(open);
        open = "";
      }
    },
    get panic() {
      return panic;
    },
    get lastLine() {
      return lastLine;
    },
    async close() {
      watchLine(open);
      file.end();
      await written;
    },
  };
}
