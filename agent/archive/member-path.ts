/**
 * The path of a member, or of a hard link's target, as parts that only lead downwards.
 */
import { AgentError } from "../errors.ts";
import { FILE_NAME_MAX_BYTES } from "../limits.ts";
import { ARCHIVE_PATH_MAX_BYTES } from "./limits.ts";
import { showPath } from "./tar-entry.ts";

/**
 * latin1 parts; none for the root itself. A leading slash means the root, as in every tar, and ".." the part before it, as for
 * podman. Throws ARCHIVE_UNSAFE_MEMBER for a path out of the root, ARCHIVE_LIMIT_EXCEEDED for names that no file system supports.
 */
export function splitMemberPath(path: string): string[] {
  if (path.length > ARCHIVE_PATH_MAX_BYTES)
    throw overLimit(path, "its path", path.length, ARCHIVE_PATH_MAX_BYTES);
  const parts: string[] = [];
  for (const part of path.split("/")) {
    if (part === "" || part === ".") continue;
    if (part.length > FILE_NAME_MAX_BYTES) throw overLimit(path, "a name", part.length, FILE_NAME_MAX_BYTES);
    if (part !== "..") parts.push(part);
    else if (parts.pop() === undefined)
      throw new AgentError(
        "ARCHIVE_UNSAFE_MEMBER",
        `Cannot unpack ${showPath(path)}: it is outside of the root`,
      );
  }
  return parts;
}

/** Throws as `splitMemberPath` does. Nearly all paths need no closer look. */
export function checkMemberPath(path: string): void {
  if (path.length > FILE_NAME_MAX_BYTES || path.includes("..")) splitMemberPath(path);
}

function overLimit(path: string, what: string, bytes: number, maxBytes: number): AgentError {
  return new AgentError(
    "ARCHIVE_LIMIT_EXCEEDED",
    `Cannot unpack ${showPath(path)}: ${what} has ${bytes} bytes, the limit is ${maxBytes}`,
  );
}
