/**
 * Archives that can be read completely or by ranges, and those of them that are files: in the initrd, or on a file server
 * that was mounted for them. A file's size is taken when it is opened.
 */
import { fstatSync, read } from "node:fs";
import { promisify } from "node:util";
import { type ByteRange, locatePieces, type RangeReader } from "../../archive/byte-range.ts";
import { AgentError } from "../../errors.ts";
import { FILE_READ_BYTES } from "../../limits.ts";
import { type HttpResponse, readAll } from "../http/http-message.ts";

export interface RemoteArchive {
  /** `hasDigest` as in HttpRequest. */
  open(options?: { hasDigest?: boolean; signal?: AbortSignal }): Promise<HttpResponse>;
  parts: RangeReader;
}

/** A file that is open for reading. */
export interface OpenSource {
  fd: number;
  /** Closes the file; harmless the second time. */
  close(): void;
}

const readAt = promisify(read);

/** `name` is for messages; `openSource` is called for every read. */
export function createFileArchive(
  name: string,
  openSource: (options: { signal?: AbortSignal }) => Promise<OpenSource>,
): RemoteArchive {
  async function openFile(signal: AbortSignal | undefined) {
    const source = await openSource({ signal });
    const status = fstatSync(source.fd);
    if (status.isFile()) return { source, sizeBytes: status.size };
    source.close();
    throw new AgentError("SOURCE_NOT_FOUND", `Cannot read "${name}": not a regular file`);
  }

  return {
    async open({ signal } = {}) {
      const { source, sizeBytes } = await openFile(signal);
      const body = closeAfter(source, readRange(source, name, { start: 0, end: sizeBytes }, signal));
      return { status: 200, headers: {}, sizeBytes, body, discard: source.close };
    },
    parts: {
      async readTail(wantedBytes, { signal } = {}) {
        const { source, sizeBytes } = await openFile(signal);
        const range = { start: Math.max(0, sizeBytes - wantedBytes), end: sizeBytes };
        const bytes = await readAll(closeAfter(source, readRange(source, name, range, signal)));
        return { bytes, totalBytes: sizeBytes };
      },
      async *readRanges(ranges, { signal } = {}) {
        const source = await openSource({ signal });
        try {
          for (const range of ranges)
            yield* locatePieces(readRange(source, name, range, signal), range.start);
        } finally {
          source.close();
        }
      },
    },
  };
}

async function* closeAfter(source: OpenSource, chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  try {
    yield* chunks;
  } finally {
    source.close();
  }
}

async function* readRange(
  { fd }: OpenSource,
  name: string,
  { start, end }: ByteRange,
  signal: AbortSignal | undefined,
): AsyncGenerator<Buffer> {
  for (let offset = start; offset < end; ) {
    signal?.throwIfAborted();
    const fail = (reason: unknown, cause?: unknown) =>
      new AgentError("SOURCE_READ_FAILED", `Cannot read "${name}" at byte ${offset}: ${reason}`, { cause });
    const buffer = Buffer.allocUnsafe(Math.min(FILE_READ_BYTES, end - offset));
    const { bytesRead } = await readAt(fd, buffer, 0, buffer.length, offset).catch((cause: unknown) => {
      throw fail((cause as NodeJS.ErrnoException).code, cause);
    });
    if (bytesRead === 0) throw fail("the file is shorter");
    yield buffer.subarray(0, bytesRead);
    offset += bytesRead;
  }
}
