/**
 * Lines out of bytes as they come, for formats whose files may be larger than memory: a line that is too long is cut, never gathered.
 * Broken UTF-8 becomes U+FFFD; a line end is LF or CR LF.
 */
import { JUNIT_LINE_MAX_BYTES } from "./limits.ts";

/** What reads a format line by line. */
export interface LineSink {
  line(text: string): void;
  /** Nothing more comes. */
  end(): void;
}

export interface LineReader {
  write(chunk: Buffer): void;
  end(): void;
}

export function createLineReader(sink: LineSink, { maxBytes = JUNIT_LINE_MAX_BYTES } = {}): LineReader {
  let open: Buffer[] = [];
  let openBytes = 0;

  const gather = (piece: Buffer) => {
    if (piece.length === 0 || openBytes >= maxBytes) return;
    const room = piece.subarray(0, maxBytes - openBytes);
    openBytes += room.length;
    // The chunk's memory is the reader's, and used again.
    open.push(Buffer.from(room));
  };
  const give = (bytes: Buffer) => {
    const end = bytes.at(-1) === 0x0d ? bytes.length - 1 : bytes.length;
    sink.line(bytes.toString("utf8", 0, end));
  };

  return {
    write(chunk) {
      let at = 0;
      for (;;) {
        const end = chunk.indexOf(0x0a, at);
        if (end === -1) break;
        const piece = chunk.subarray(at, end);
        at = end + 1;
        if (openBytes === 0) give(piece.subarray(0, maxBytes));
        else {
          gather(piece);
          give(Buffer.concat(open));
          open = [];
          openBytes = 0;
        }
      }
      gather(chunk.subarray(at));
    },
    end() {
      if (openBytes > 0) give(Buffer.concat(open));
      open = [];
      openBytes = 0;
      sink.end();
    },
  };
}
