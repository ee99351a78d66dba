/**
 * A member's path as parts that can only lead downwards.
 * Everything below works on these parts, never on path strings joined together.
 */
import { pathBytes, showPath } from "../../archive/tar-entry.ts";
import { AgentError } from "../../errors.ts";
import { FILE_NAME_MAX_BYTES } from "../../limits.ts";
import { ARCHIVE_PATH_MAX_BYTES } from "../limits.ts";

/**
 * latin1 parts; empty for the root itself. A leading slash means the root, as for every tar.
 * Throws ARCHIVE_UNSAFE_MEMBER for ".." and ARCHIVE_LIMIT_EXCEEDED for what no file system takes.
 */
export function splitMemberPath(path: string): string[] {
  if (path.length > ARCHIVE_PATH_MAX_BYTES) {
    throw new AgentError(
      "ARCHIVE_LIMIT_EXCEEDED",
      `Cannot unpack ${showPath(path)}: its path has ${path.length} bytes, ${ARCHIVE_PATH_MAX_BYTES} are possible`,
    );
  }
  const parts = path.split("/").filter((part) => part !== "" && part !== ".");
  for (const part of parts) {
    if (part === "..") {
      throw new AgentError("ARCHIVE_UNSAFE_MEMBER", `Cannot unpack ${showPath(path)}: ".." is not taken`);
    }
    if (part.length > FILE_NAME_MAX_BYTES) {
      throw new AgentError(
        "ARCHIVE_LIMIT_EXCEEDED",
        `Cannot unpack ${showPath(path)}: a name in it has ${part.length} bytes, ${FILE_NAME_MAX_BYTES} are possible`,
      );
    }
  }
  return parts;
}

/** The bytes of the path that `parts` make, relative to the root; "." for the root. */
export function joinParts(parts: readonly string[]): Buffer {
  return pathBytes(parts.length === 0 ? "." : parts.join("/"));
}
