/**
 * The path of a member as parts that only lead downwards. Code in this folder uses these parts instead of joined paths.
 */
import { pathBytes, showPath } from "../../archive/tar-entry.ts";
import { AgentError } from "../../errors.ts";
import { FILE_NAME_MAX_BYTES } from "../../limits.ts";
import { ARCHIVE_PATH_MAX_BYTES } from "../limits.ts";

/**
 * latin1 parts; none for the root itself. A leading slash means the root, as in every tar.
 * Throws ARCHIVE_UNSAFE_MEMBER for ".." and ARCHIVE_LIMIT_EXCEEDED for names that no file system supports.
 */
export function splitMemberPath(path: string): string[] {
  if (path.length > ARCHIVE_PATH_MAX_BYTES) {
    throw new AgentError(
      "ARCHIVE_LIMIT_EXCEEDED",
      `Cannot unpack ${showPath(path)}: its path has ${path.length} bytes, the limit is ${ARCHIVE_PATH_MAX_BYTES}`,
    );
  }
  const parts = path.split("/").filter((part) => part !== "" && part !== ".");
  for (const part of parts) {
    if (part === "..") {
      throw new AgentError(
        "ARCHIVE_UNSAFE_MEMBER",
        `Cannot unpack ${showPath(path)}: its path contains ".."`,
      );
    }
    if (part.length > FILE_NAME_MAX_BYTES) {
      throw new AgentError(
        "ARCHIVE_LIMIT_EXCEEDED",
        `Cannot unpack ${showPath(path)}: a name in its path has ${part.length} bytes, the limit is ${FILE_NAME_MAX_BYTES}`,
      );
    }
  }
  return parts;
}

/** The path relative to the root; "." for the root. */
export function joinParts(parts: readonly string[]): Buffer {
  return pathBytes(parts.length === 0 ? "." : parts.join("/"));
}
