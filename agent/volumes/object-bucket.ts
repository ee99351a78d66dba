/**
 * What volumes need from an S3 service, whose client is in agent/net, which this room may not import; and keys of objects as paths of
 * files in a volume. Keys are untrusted. Patterns are those of the MinIO client, where `*` matches slashes too.
 */
import { FILE_NAME_MAX_BYTES } from "../limits.ts";

export interface BucketObject {
  key: string;
  sizeBytes: number;
  /** Without quotes; the MD5 of the content where it is 32 hex digits and nothing is encrypted. */
  etag?: string;
  /** Time of the upload by the service's clock. */
  modifiedMs?: number;
}

/** Every call throws S3_* and HTTP errors. */
export interface ObjectBucket {
  /** All objects whose key starts with the prefix. */
  list(prefix: string, options: { signal: AbortSignal }): AsyncIterable<BucketObject>;
  /** `metadata`: the object's own (x-amz-meta-…), by names in lower case without that prefix. */
  get(
    key: string,
    options: { signal: AbortSignal },
  ): Promise<{ body: AsyncIterable<Buffer>; metadata: Readonly<Record<string, string>> }>;
  put(
    key: string,
    file: { path: string; sizeBytes: number },
    options: { metadata: Readonly<Record<string, string>>; signal: AbortSignal },
  ): Promise<{ etag?: string }>;
  /** A missing object is not an error. */
  delete(key: string, options: { signal: AbortSignal }): Promise<void>;
}

export interface BucketLocation {
  /** Name of an S3 service that the job gives. */
  alias: string;
  bucket: string;
  /** 32 bytes for encryption by the service (SSE-C). */
  encryptionKey?: Buffer;
}

/** Throws VOLUME_NO_ALIAS. */
export type OpenBucket = (location: BucketLocation) => ObjectBucket;

/** Names of incomplete files, which are never mirrored. */
export const PART_PREFIX = ".dutboot-part.";

/** Why a key without its prefix cannot be a path in a volume; undefined when it can. */
export function findPathFault(key: string): string | undefined {
  if (!key.isWellFormed()) return "it is not valid Unicode";
  if (key.includes("\0")) return "it contains a NUL";
  if (key.startsWith("/")) return "it begins with a slash";
  // A trailing slash marks an empty directory.
  const names = (key.endsWith("/") ? key.slice(0, -1) : key).split("/");
  for (const name of names) {
    if (name === "") return "it contains an empty name";
    if (name === "." || name === "..") return `it contains "${name}"`;
    if (Buffer.byteLength(name) > FILE_NAME_MAX_BYTES) return "it contains a name that is too long";
    if (name.startsWith(PART_PREFIX)) return "it has the name of an incomplete file";
  }
  return undefined;
}

/** `*` matches any text, `?` one character (minio/pkg/wildcard's Match). */
export function matchesPattern(pattern: string, text: string): boolean {
  let at = 0;
  let patternAt = 0;
  let starAt = -1;
  let starText = 0;
  while (at < text.length || patternAt < pattern.length) {
    const char = pattern[patternAt];
    if (char === "*") {
      starAt = patternAt++;
      starText = at;
    } else if (at < text.length && (char === "?" || char === text[at])) {
      patternAt++;
      at++;
    } else if (starAt >= 0 && starText < text.length) {
      // Only the last star is retried, with one more character: the cost stays quadratic.
      at = ++starText;
      patternAt = starAt + 1;
    } else return false;
  }
  return true;
}

export function isExcluded(key: string, patterns: readonly string[]): boolean {
  return patterns.some((pattern) => matchesPattern(pattern, key));
}

/** `PREFIX/`, or nothing for an empty prefix. */
export function formatKeyPrefix(prefix: string): string {
  const names = prefix.split("/").filter((name) => name !== "");
  return names.length === 0 ? "" : `${names.join("/")}/`;
}
