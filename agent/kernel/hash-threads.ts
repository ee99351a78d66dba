/**
 * Threads of sys.node (native/hash-threads.c) that hash and write buffers in order, beside the thread that fills them.
 * Their calls block, so only worker threads use them; each thread must be ended or closed.
 */
import { closeSync, constants, openSync } from "node:fs";
import { KernelError } from "./errno.ts";
import { loadSysModule } from "./syscall.ts";

/**
 * Buffers that a thread has queued or in work. A buffer may be overwritten once this many others were pushed after it: a ring
 * of one buffer more is never overwritten while a thread reads it.
 */
export const QUEUE_BUFFERS = 3;

/** Flags of a piece: the last one of its file; zeros, which the buffer does not have. */
export const LAST_PIECE = 1;
export const HOLE_PIECE = 2;

/** Instead of a folder's descriptor. */
const NO_FOLDER = -1;

class NativeThread {
  readonly #thread: object;

  constructor(folderFd: number, takesSha256: boolean) {
    this.#thread = loadSysModule().startThread(folderFd, takesSha256);
  }

  protected pushBuffer(bytes: Uint8Array, pieces: Int32Array | null): void {
    const result = loadSysModule().pushBuffer(this.#thread, bytes, pieces);
    if (result < 0) throw new KernelError("write", -result);
  }

  protected takeResult(): Buffer {
    const result = loadSysModule().endThread(this.#thread);
    if (typeof result === "number") throw new KernelError("write", -result);
    return result;
  }

  /** Waits for queued buffers and ends the thread; to be called after success and failure. */
  close(): void {
    loadSysModule().endThread(this.#thread);
  }
}

/** Takes the sha256 of bytes and of files. */
export class HashThread extends NativeThread {
  constructor() {
    super(NO_FOLDER, true);
  }

  /**
   * Without `pieces`, adds all bytes. `pieces`: three numbers each, offset in `bytes`, length, and 1 where the piece names a file:
   * its size (8 bytes, little endian), its path and a NUL. Throws the first KernelError so far: EBADMSG for a file of another size.
   */
  push(bytes: Uint8Array, pieces: Int32Array | null = null): void {
    this.pushBuffer(bytes, pieces);
  }

  /** The digest, 32 bytes. */
  end(): Buffer {
    return this.takeResult();
  }
}

/** Cuts buffers into files of a folder, named by their number from 0, and takes the digests of each. */
export class FileThread extends NativeThread {
  readonly #takesSha256: boolean;

  constructor(folder: string, { takesSha256 = true } = {}) {
    const fd = openSync(folder, constants.O_RDONLY | constants.O_DIRECTORY);
    try {
      super(fd, takesSha256);
    } catch (error) {
      closeSync(fd);
      throw error;
    }
    this.#takesSha256 = takesSha256;
  }

  /**
   * `pieces`: three numbers each, offset in `bytes` (0 for a hole), length, and flags.
   * Throws the first KernelError so far, which may be of an earlier buffer.
   */
  push(bytes: Uint8Array, pieces: Int32Array): void {
    this.pushBuffer(bytes, pieces);
  }

  /** Digests of 32 bytes in the order of the files. Throws KernelError. */
  end(): { verities: Buffer; sha256s: Buffer | undefined } {
    const result = this.takeResult();
    if (!this.#takesSha256) return { verities: result, sha256s: undefined };
    const middle = result.length / 2;
    return { verities: result.subarray(0, middle), sha256s: result.subarray(middle) };
  }
}
