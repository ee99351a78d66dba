/**
 * The digest of an uncompressed tar as it streams: by a lane beside this thread where it is a sha256, which nearly all are.
 */
import { createHash } from "node:crypto";
import { HashLane } from "../kernel/syscalls.ts";

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
