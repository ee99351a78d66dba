/**
 * The digest of an uncompressed tar as it streams, by a hash thread where it is a sha256, which nearly all are; and the ring
 * of buffers that lets hash threads read what was decompressed without a copy.
 */
import { createHash } from "node:crypto";
import { DECOMPRESS_CHUNK_BYTES } from "../../archive/limits.ts";
import { AgentError } from "../../errors.ts";
import { HashThread, isKernelError, QUEUE_BUFFERS } from "../../kernel/syscalls.ts";

/** A taken buffer stays unchanged until QUEUE_BUFFERS others were taken: by then, the hash threads are done with it. */
export class BufferRing {
  readonly #buffers: Buffer[];
  #next = 0;

  constructor(bufferBytes = DECOMPRESS_CHUNK_BYTES) {
    this.#buffers = Array.from({ length: QUEUE_BUFFERS + 1 }, () => Buffer.allocUnsafeSlow(bufferBytes));
  }

  take(): Buffer {
    const buffer = this.#buffers[this.#next]!;
    this.#next = (this.#next + 1) % this.#buffers.length;
    return buffer;
  }

  /** Copies of chunks whose memory is reused too soon. */
  async *copy(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    for await (const chunk of chunks) {
      for (let at = 0; at < chunk.length; ) {
        const buffer = this.take();
        const length = chunk.copy(buffer, 0, at);
        at += length;
        yield buffer.subarray(0, length);
      }
    }
  }
}

export interface TarDigest {
  /** The chunk must stay unchanged until QUEUE_BUFFERS others were passed. */
  update(chunk: Buffer): void;
  /** `sha256:…` */
  finish(): string;
  /** To be called after success and failure. */
  close(): void;
}

export function createTarDigest(algorithm: string): TarDigest {
  if (algorithm === "sha256") {
    const thread = new HashThread();
    return {
      update: (chunk) => thread.push(chunk),
      finish: () => `sha256:${thread.end().toString("hex")}`,
      close: () => thread.close(),
    };
  }
  const hash = createHash(algorithm);
  return {
    update: (chunk) => void hash.update(chunk),
    finish: () => `${algorithm}:${hash.digest("hex")}`,
    close: () => {},
  };
}

/** Of bytes and file names; while a hash thread reads a large file, a few buffers of names wait. */
const STREAM_BUFFER_BYTES = 512 * 1024;
const SIZE_BYTES = 8;

/** The sha256 of a tar that is rebuilt from pieces of any size and from files. Throws STORE_OBJECT_CORRUPT, perhaps some files later. */
export class StreamDigest {
  readonly #thread = new HashThread();
  readonly #ring = new BufferRing(STREAM_BUFFER_BYTES);
  #buffer = this.#ring.take();
  #filled = 0;
  #pieces: number[] = [];
  #endsInBytes = false;

  /** The bytes are copied. */
  update(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; ) {
      const space = this.space();
      const piece = bytes.subarray(at, at + space.length);
      space.set(piece);
      this.advance(piece.length);
      at += piece.length;
    }
  }

  /** Room for bytes that `advance` then adds without a copy; never empty. */
  space(): Buffer {
    if (this.#filled === this.#buffer.length) this.#push();
    return this.#buffer.subarray(this.#filled);
  }

  /** Adds the first `length` bytes of `space`. */
  advance(length: number): void {
    if (this.#endsInBytes) this.#pieces[this.#pieces.length - 2]! += length;
    else this.#pieces.push(this.#filled, length, 0);
    this.#endsInBytes = true;
    this.#filled += length;
  }

  /** A whole file, which must have this size. */
  addFile(path: string, sizeBytes: number): void {
    const pathBytes = Buffer.from(`${path}\0`);
    const length = SIZE_BYTES + pathBytes.length;
    if (this.#filled + length > this.#buffer.length) this.#push();
    this.#buffer.writeBigUInt64LE(BigInt(sizeBytes), this.#filled);
    pathBytes.copy(this.#buffer, this.#filled + SIZE_BYTES);
    this.#pieces.push(this.#filled, length, 1);
    this.#endsInBytes = false;
    this.#filled += length;
  }

  /** `sha256:…` */
  finish(): string {
    this.#push();
    return describeDamage(() => `sha256:${this.#thread.end().toString("hex")}`);
  }

  /** To be called after success and failure. */
  close(): void {
    this.#thread.close();
  }

  #push(): void {
    describeDamage(() =>
      this.#thread.push(this.#buffer.subarray(0, this.#filled), Int32Array.from(this.#pieces)),
    );
    this.#buffer = this.#ring.take();
    this.#filled = 0;
    this.#pieces = [];
    this.#endsInBytes = false;
  }
}

function describeDamage<T>(act: () => T): T {
  try {
    return act();
  } catch (cause) {
    if (!isKernelError(cause, "ENOENT", "EBADMSG", "EIO")) throw cause;
    const reason = cause.code === "ENOENT" ? "one no longer exists" : "one is damaged";
    throw new AgentError("STORE_OBJECT_CORRUPT", `Cannot read the objects of the archive: ${reason}`, {
      cause,
    });
  }
}
