/**
 * Content digests as registries write them: `sha256:<hex>` or `sha512:<hex>`, checked before they reach a path or a URL.
 * OCI image-spec, descriptor.md, "Digests".
 */
import { createHash, type Hash } from "node:crypto";

const HEX_LENGTH: Readonly<Record<string, number>> = { sha256: 64, sha512: 128 };

export interface Digest {
  algorithm: "sha256" | "sha512";
  hex: string;
}

/** The digest's parts, or undefined for anything but a known algorithm and lower-case hex of its exact length. */
export function parseDigest(text: string): Digest | undefined {
  const match = /^(sha256|sha512):([0-9a-f]+)$/.exec(text);
  if (!match) return undefined;
  const [, algorithm, hex] = match as unknown as [string, Digest["algorithm"], string];
  return hex.length === HEX_LENGTH[algorithm] ? { algorithm, hex } : undefined;
}

export function computeDigest(bytes: Uint8Array, algorithm: Digest["algorithm"] = "sha256"): string {
  return `${algorithm}:${createHash(algorithm).update(bytes).digest("hex")}`;
}

/** A running hash for the algorithm that `digest` names; compare with `formatDigest` at the end. */
export function createDigestHash(digest: Digest): Hash {
  return createHash(digest.algorithm);
}
