/**
 * The digest of an uncompressed tar as it streams: by a lane beside this thread where it is a sha256, which nearly all are.
 */
import { createHash } from "node:crypto";
import { AgentError } from "../../errors.ts";
import { HashLane, isKernelError, STREAM_QUEUE_BUFFERS, StreamLane } from "../../kernel/syscalls.ts";
import { ChunkRing } from "./buffer-ring.ts";

export interface TarDigest {
  /** The chunk must stay as it is until LANE_QUEUE_BUFFERS others came. */
  update(chunk: Buffer): void;
  /** `sha256:…`, at the end. */
  finish(): string;
  /** After success and failure. */
  close(): void;
}

export function createTarDigest(algorithm: string): TarDigest {
  if (algorithm === "sha256") {
    const lane = new HashLane();
    return {
      update: (chunk) => lane.push(chunk),
      finish: () => `sha256:${lane.end().toString("hex")}`,
      close: () => lane.close(),
    };
  }
  const hash = createHash(algorithm);
  return {
    update: (chunk) => void hash.update(chunk),
    finish: () => `${algorithm}:${hash.digest("hex")}`,
    close: () => {},
  };
}

/** Of a tar that is put together of bytes and of files. Throws STORE_OBJECT_CORRUPT, perhaps some files later. */
export interface StreamDigest extends Omit<TarDigest, "update"> {
  /** The memory may be used again at once. */
  update(piece: Uint8Array): void;
  /** A whole file, which must have this size. */
  addFile(path: string, sizeBytes: number): void;
}

export function createStreamDigest(): StreamDigest {
  const lane = new StreamLane();
  const ring = new ChunkRing(STREAM_CHUNK_BYTES, STREAM_QUEUE_BUFFERS);
  let chunk = ring.take();
  let filled = 0;
  let pieces: number[] = [];
  /** Whether the last piece is of bytes, so that others may join it. */
  let endsInBytes = false;

  const push = () => {
    blameObject(() => lane.push(chunk.subarray(0, filled), Int32Array.from(pieces)));
    chunk = ring.take();
    filled = 0;
    pieces = [];
    endsInBytes = false;
  };
  return {
    update(piece) {
      for (let at = 0; at < piece.length; ) {
        if (filled === chunk.length) push();
        const taken = piece.subarray(at, at + chunk.length - filled);
        if (endsInBytes) pieces[pieces.length - 2]! += taken.length;
        else pieces.push(filled, taken.length, 0);
        endsInBytes = true;
        chunk.set(taken, filled);
        filled += taken.length;
        at += taken.length;
      }
    },
    addFile(path, sizeBytes) {
      const pathBytes = Buffer.from(`${path}\0`);
      const length = SIZE_BYTES + pathBytes.length;
      if (filled + length > chunk.length) push();
      chunk.writeBigUInt64LE(BigInt(sizeBytes), filled);
      pathBytes.copy(chunk, filled + SIZE_BYTES);
      pieces.push(filled, length, 1);
      endsInBytes = false;
      filled += length;
    },
    finish() {
      push();
      return blameObject(() => `sha256:${lane.end().toString("hex")}`);
    },
    close: () => lane.close(),
  };
}

/** Of bytes and names on their way to the lane; a name stands for as much as its file holds. */
const STREAM_CHUNK_BYTES = 64 * 1024;
const SIZE_BYTES = 8;

function blameObject<T>(act: () => T): T {
  try {
    return act();
  } catch (cause) {
    if (!isKernelError(cause, "ENOENT", "EBADMSG", "EIO")) throw cause;
    const fault = cause.code === "ENOENT" ? "one is not there any more" : "one is damaged";
    throw new AgentError("STORE_OBJECT_CORRUPT", `Cannot read the objects of the archive: ${fault}`, {
      cause,
    });
  }
}
