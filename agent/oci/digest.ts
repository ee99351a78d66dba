/**
 * Content digests: `sha256:<hex>` or `sha512:<hex>` (OCI image-spec, descriptor.md, "Digests"). They are validated before
 * they become part of a path or a URL.
 */
import { createHash, type Hash } from "node:crypto";

const HEX_LENGTH: Readonly<Record<string, number>> = { sha256: 64, sha512: 128 };

export interface Digest {
  algorithm: "sha256" | "sha512";
  hex: string;
}

/** Undefined unless it is a known algorithm with lower-case hex of the right length. */
export function parseDigest(text: string): Digest | undefined {
  const match = /^(sha256|sha512):([0-9a-f]+)$/.exec(text);
  if (!match) return undefined;
  const [, algorithm, hex] = match as unknown as [string, Digest["algorithm"], string];
  return hex.length === HEX_LENGTH[algorithm] ? { algorithm, hex } : undefined;
}

export function computeDigest(bytes: Uint8Array, algorithm: Digest["algorithm"] = "sha256"): string {
  return `${algorithm}:${createHash(algorithm).update(bytes).digest("hex")}`;
}

/** A hash of the digest's algorithm. */
export function createDigestHash(digest: Digest): Hash {
  return createHash(digest.algorithm);
}
