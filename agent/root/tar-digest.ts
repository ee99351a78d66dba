/**
 * The digest of an uncompressed tar as it streams: by a lane beside this thread where it is a sha256, which nearly all are.
 */
import { createHash } from "node:crypto";
import { HashLane } from "../kernel/syscalls.ts";
import { ChunkRing } from "./chunk-ring.ts";

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

/** The sha256 of a tar that comes in pieces of any size, whose memory is used again at once: they are copied. */
export function createPiecewiseTarDigest(): Omit<TarDigest, "update"> & { update(piece: Uint8Array): void } {
  const lane = new HashLane();
  const ring = new ChunkRing();
  let chunk = ring.take();
  let filled = 0;
  const push = () => {
    lane.push(chunk.subarray(0, filled));
    chunk = ring.take();
    filled = 0;
  };
  return {
    update(piece) {
      for (let at = 0; at < piece.length; ) {
        const taken = piece.subarray(at, at + chunk.length - filled);
        chunk.set(taken, filled);
        filled += taken.length;
        at += taken.length;
        if (filled === chunk.length) push();
      }
    },
    finish() {
      push();
      return `sha256:${lane.end().toString("hex")}`;
    },
    close: () => lane.close(),
  };
}
