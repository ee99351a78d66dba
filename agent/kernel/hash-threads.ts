/**
 * Lanes: threads of sys.node (lanes.c) that work through buffers in their order, beside the thread that fills them.
 * Their calls block, so they are for worker threads; whoever opens a lane ends or closes it.
 */
import { closeSync, constants, openSync } from "node:fs";
import { KernelError } from "./errno.ts";
import { openDoor } from "./syscall.ts";

/**
 * Buffers that wait in a lane or are in work. A buffer may be filled again once this many others were pushed after it,
 * so a ring of one more is never written while a lane reads it.
 */
export const LANE_QUEUE_BUFFERS = 3;
/** The same of a StreamLane: while it is at a large file, whoever names files goes on. */
export const STREAM_QUEUE_BUFFERS = 64;

/** What a lane found of its files, in their order; digests of 32 bytes, one after the other. */
export interface LaneFiles {
  verities: Buffer;
  /** Where they were wanted. */
  sha256s?: Buffer;
}

class Lane {
  readonly #lane: object;

  constructor(folderFd: number, takesSha256: boolean) {
    this.#lane = openDoor().openLane(folderFd, takesSha256);
  }

  protected give(bytes: Uint8Array, pieces: Int32Array | null): void {
    const result = openDoor().pushLane(this.#lane, bytes, pieces);
    if (result < 0) throw new KernelError("write", -result);
  }

  protected takeResult(): Buffer {
    const result = openDoor().endLane(this.#lane);
    if (typeof result === "number") throw new KernelError("write", -result);
    return result;
  }

  /** Waits for what is in work and ends the thread, after success and failure. */
  close(): void {
    openDoor().endLane(this.#lane);
  }
}

/** Instead of a folder's descriptor. */
const HASHES = -1;
const READS = -2;

/** Takes the sha256 of everything. */
export class HashLane extends Lane {
  constructor() {
    super(HASHES, true);
  }

  push(bytes: Uint8Array): void {
    this.give(bytes, null);
  }

  /** The digest, 32 bytes. */
  end(): Buffer {
    return this.takeResult();
  }
}

/** Takes the sha256 of bytes and of files, one after the other; a second thread hashes what this one reads. */
export class StreamLane extends Lane {
  constructor() {
    super(READS, true);
  }

  /**
   * `pieces`: three numbers each, offset in `bytes`, length, and 1 where what stands there names a file: its size, eight
   * bytes little endian, its path and a NUL. Throws a KernelError of what has failed so far: EBADMSG for a file that has
   * another size.
   */
  push(bytes: Uint8Array, pieces: Int32Array): void {
    this.give(bytes, pieces);
  }

  /** The digest, 32 bytes. Throws KernelError. */
  end(): Buffer {
    return this.takeResult();
  }
}

/** Cuts buffers into files of a folder, named by their number from 0 on. */
export class FileLane extends Lane {
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
   * `pieces`: three numbers each, offset in `bytes`, length, and 1 where it is the last piece of its file.
   * Throws a KernelError of what has failed so far, perhaps of an earlier buffer.
   */
  push(bytes: Uint8Array, pieces: Int32Array): void {
    this.give(bytes, pieces);
  }

  /** Throws KernelError. */
  end(): LaneFiles {
    const result = this.takeResult();
    if (!this.#takesSha256) return { verities: result };
    const middle = result.length / 2;
    return { verities: result.subarray(0, middle), sha256s: result.subarray(middle) };
  }
}
