/**
 * Records the serial console of a run to a file, passes it to the caller, and detects kernel panics.
 * The console never makes a verdict; it only explains why one is missing.
 */
import { createWriteStream } from "node:fs";
import { finished } from "node:stream/promises";

export interface ConsoleRecorder {
  write(chunk: Buffer): void;
  /** The text after "Kernel panic - not syncing: " of the last panic. */
  readonly panic: string | undefined;
  /** The last non-empty line. */
  readonly lastLine: string;
  /** Resolves when the file is complete. */
  close(): Promise<void>;
}

/** Longer lines are searched in pieces. */
const WATCHED_LINE_MAX_BYTES = 4096;
/** Does not match the kernel's "---[ end Kernel panic" line, which repeats the text. */
const PANIC = /(?<!end )Kernel panic - not syncing(?:: )?(.*)/;

/** Records to `path`, which must not exist. */
export function createConsoleRecorder(path: string, onChunk?: (chunk: Buffer) => void): ConsoleRecorder {
  const file = createWriteStream(path, { flags: "wx" });
  const written = finished(file);
  // close() reports the failure. Without this handler an early failure would end the process.
  written.catch(() => {});
  let panic: string | undefined;
  let lastLine = "";
  let open = "";
  const watchLine = (line: string) => {
    const text = line.replaceAll(/\x1b\[[0-9;?]*[A-Za-z]|[\x00-\x1f\x7f]/g, "").trim();
    if (text) lastLine = text;
    // The last one counts: a test may print the text before, but nothing follows the kernel's own line.
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
