/**
 * Makes an error for people out of what the kernel said while a member was unpacked.
 * A full disk is told with its sizes: on a DUT that is nearly always memory.
 */
import { statfsSync } from "node:fs";
import { showPath } from "../../archive/tar-entry.ts";
import { AgentError } from "../../errors.ts";
import { pathOfDescriptor } from "../../kernel/syscalls.ts";

const NO_ROOM = ["ENOSPC", "EDQUOT", "ENOMEM"];
/** What a path or name of the archive can bring about, rather than the disk. */
const ARCHIVES_FAULT = [
  "ELOOP",
  "ENAMETOOLONG",
  "ENOTDIR",
  "EISDIR",
  "EEXIST",
  "ENOENT",
  "EINVAL",
  "EMLINK",
  "E2BIG",
  "ERANGE",
];

export interface WriteProgress {
  rootFd: number;
  /** Content written so far. */
  contentBytes: number;
  files: number;
}

export function describeWriteFailure(thrown: unknown, path: string, progress: WriteProgress): unknown {
  const { code, syscall } = thrown as { code?: unknown; syscall?: unknown };
  if (thrown instanceof AgentError || typeof code !== "string" || typeof syscall !== "string") return thrown;
  const what = `Cannot unpack ${showPath(path)}`;
  if (NO_ROOM.includes(code)) {
    return new AgentError("ROOT_NO_SPACE", `${what}: ${describeRoom(progress)} (${code})`, { cause: thrown });
  }
  const agentCode = ARCHIVES_FAULT.includes(code) ? "ARCHIVE_BAD_MEMBER" : "ROOT_WRITE_FAILED";
  return new AgentError(agentCode, `${what}: ${syscall} gave ${code}`, { cause: thrown });
}

function describeRoom({ rootFd, contentBytes, files }: WriteProgress): string {
  const { bsize, blocks, bavail, files: inodes, ffree } = statfsSync(pathOfDescriptor(rootFd));
  const megabytes = (bytes: number) => `${(bytes / 1e6).toFixed(1)} MB`;
  const room = `${megabytes(bavail * bsize)} of ${megabytes(blocks * bsize)} and ${ffree} of ${inodes} files are free`;
  return `there is no room: ${room}, after ${megabytes(contentBytes)} in ${files} files of this archive`;
}
