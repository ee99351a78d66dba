/**
 * Keys of objects and paths of files: which key may become which path below a volume, and which are left out.
 * Keys are any bytes a stranger chose; patterns are those of the MinIO client, where `*` passes over slashes.
 */
import { FILE_NAME_MAX_BYTES } from "../limits.ts";

/** Files that are half written begin so, in every directory; they are never mirrored. */
export const PART_PREFIX = ".dutboot-part.";

/** Why the part of a key behind its prefix cannot be a file's path below a volume; undefined when it can. */
export function findPathFault(key: string): string | undefined {
  if (!key.isWellFormed()) return "it is no valid Unicode";
  if (key.includes("\0")) return "it has a NUL in it";
  if (key.startsWith("/")) return "it begins with a slash";
  // A slash at the end is an empty directory's mark.
  const names = (key.endsWith("/") ? key.slice(0, -1) : key).split("/");
  for (const name of names) {
    if (name === "") return "it has an empty name in it";
    if (name === "." || name === "..") return `it has "${name}" in it`;
    if (Buffer.byteLength(name) > FILE_NAME_MAX_BYTES) return "it has a name that is too long for a file";
    if (name.startsWith(PART_PREFIX)) return "it has the name of a half-written file";
  }
  return undefined;
}

/** `*` is any text, slashes too; `?` one character; all else stands for itself (minio/pkg/wildcard's Match). */
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
      // The last star takes one character more: never a tree of tries, whatever the pattern.
      at = ++starText;
      patternAt = starAt + 1;
    } else return false;
  }
  return true;
}

export function isExcluded(key: string, patterns: readonly string[]): boolean {
  return patterns.some((pattern) => matchesPattern(pattern, key));
}

/** `PREFIX/` before a path, or nothing; keys below it begin with it. */
export function formatKeyPrefix(prefix: string): string {
  const names = prefix.split("/").filter((name) => name !== "");
  return names.length === 0 ? "" : `${names.join("/")}/`;
}
