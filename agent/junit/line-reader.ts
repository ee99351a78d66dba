/**
 * Splits chunks of bytes into lines, for files that may be larger than memory: long lines are cut. Invalid UTF-8 becomes U+FFFD; lines end
 * with LF or CR LF.
 */
import { JUNIT_LINE_MAX_BYTES } from "./limits.ts";

/** Reads a format line by line. */
export interface LineSink {
  line(text: string): void;
  end(): void;
}

export function createLineReader(sink: LineSink, { maxBytes = JUNIT_LINE_MAX_BYTES } = {}) {
  let open: Buffer[] = [];
  let openBytes = 0;

  const gather = (piece: Buffer) => {
    if (piece.length === 0 || openBytes >= maxBytes) return;
    const room = piece.subarray(0, maxBytes - openBytes);
    openBytes += room.length;
    // A copy: the reader reuses the chunk's memory.
    open.push(Buffer.from(room));
  };
  const pass = (bytes: Buffer) => {
    const end = bytes.at(-1) === 0x0d ? bytes.length - 1 : bytes.length;
    sink.line(bytes.toString("utf8", 0, end));
  };

  return {
    write(chunk: Buffer) {
      let at = 0;
      for (;;) {
        const end = chunk.indexOf(0x0a, at);
        if (end === -1) break;
        const piece = chunk.subarray(at, end);
        at = end + 1;
        if (openBytes === 0) pass(piece.subarray(0, maxBytes));
        else {
          gather(piece);
          pass(Buffer.concat(open));
          open = [];
          openBytes = 0;
        }
      }
      gather(chunk.subarray(at));
    },
    end() {
      if (openBytes > 0) pass(Buffer.concat(open));
      open = [];
      openBytes = 0;
      sink.end();
    },
  };
}
