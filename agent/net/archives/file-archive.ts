/**
 * An archive that is a file here: brought along in the initrd, or on a file server that was mounted for it.
 * It is read where it lies, whole or in parts, and its size is what it is when it is opened.
 */
import { fstatSync, read } from "node:fs";
import { promisify } from "node:util";
import { AgentError } from "../../errors.ts";
import { FILE_READ_BYTES } from "../../limits.ts";
import type { ByteRange } from "../http/http-message.ts";
import type { RemoteArchive } from "./remote-archive.ts";

/** A file that is open for reading. */
export interface OpenSource {
  fd: number;
  /** Closes it; harmless the second time. */
  close(): void;
}

const readAt = promisify(read);

/** `name` is for messages; `openSource` is called for every look at the file. */
export function createFileArchive(
  name: string,
  openSource: (options: { signal?: AbortSignal }) => Promise<OpenSource>,
): RemoteArchive {
  async function withSource<Result>(
    signal: AbortSignal | undefined,
    use: (source: OpenSource, sizeBytes: number) => Promise<Result>,
  ): Promise<Result> {
    const source = await openSource({ signal });
    try {
      return await use(source, measure(source, name));
    } finally {
      source.close();
    }
  }

  return {
    async open({ signal } = {}) {
      const source = await openSource({ signal });
      try {
        const sizeBytes = measure(source, name);
        const body = readAndClose(source, name, { start: 0, end: sizeBytes }, signal);
        return { status: 200, headers: {}, sizeBytes, body, discard: source.close };
      } catch (error) {
        source.close();
        throw error;
      }
    },
    parts: {
      readTail: (wantedBytes, { signal } = {}) =>
        withSource(signal, async (source, totalBytes) => {
          const range = { start: Math.max(0, totalBytes - wantedBytes), end: totalBytes };
          const chunks: Buffer[] = [];
          for await (const chunk of readRange(source, name, range, signal)) chunks.push(chunk);
          return { bytes: Buffer.concat(chunks), totalBytes };
        }),
      async *readRanges(ranges, { signal } = {}) {
        const source = await openSource({ signal });
        try {
          for (const range of ranges) {
            let offset = range.start;
            for await (const bytes of readRange(source, name, range, signal)) {
              yield { offset, bytes };
              offset += bytes.length;
            }
          }
        } finally {
          source.close();
        }
      },
    },
  };
}

function measure({ fd }: OpenSource, name: string): number {
  const status = fstatSync(fd);
  if (status.isFile()) return status.size;
  throw new AgentError("SOURCE_NOT_FOUND", `Cannot read "${name}": it is no regular file`);
}

async function* readAndClose(
  source: OpenSource,
  name: string,
  range: Required<ByteRange>,
  signal: AbortSignal | undefined,
): AsyncGenerator<Buffer> {
  try {
    yield* readRange(source, name, range, signal);
  } finally {
    source.close();
  }
}

/** `end` is exclusive. */
async function* readRange(
  { fd }: OpenSource,
  name: string,
  { start, end = Number.POSITIVE_INFINITY }: ByteRange,
  signal: AbortSignal | undefined,
): AsyncGenerator<Buffer> {
  for (let offset = start; offset < end; ) {
    signal?.throwIfAborted();
    const buffer = Buffer.allocUnsafe(Math.min(FILE_READ_BYTES, end - offset));
    const { bytesRead } = await readAt(fd, buffer, 0, buffer.length, offset).catch((cause: unknown) => {
      throw explainReadError(name, offset, cause);
    });
    if (bytesRead === 0) throw explainReadError(name, offset, { code: "it ends there" });
    yield buffer.subarray(0, bytesRead);
    offset += bytesRead;
  }
}

function explainReadError(name: string, offset: number, cause: unknown): AgentError {
  const { code } = cause as NodeJS.ErrnoException;
  return new AgentError("SOURCE_READ_FAILED", `Cannot read "${name}" at byte ${offset}: ${code}`, { cause });
}
