/**
 * Turns a kernel error of unpacking a member into an AgentError. For a full disk, which on a DUT is nearly always RAM, it reports
 * the sizes.
 */
import { statfsSync } from "node:fs";
import { showPath } from "../../archive/tar-entry.ts";
import { AgentError } from "../../errors.ts";
import { pathOfDescriptor } from "../../kernel/syscalls.ts";

const NO_SPACE = ["ENOSPC", "EDQUOT", "ENOMEM"];
/** Errors that a path or name in the archive causes, rather than the disk. */
const ARCHIVE_ERRORS = [
  ...["ELOOP", "ENAMETOOLONG", "ENOTDIR", "EISDIR", "EEXIST"],
  ...["ENOENT", "EINVAL", "EMLINK", "E2BIG", "ERANGE"],
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
  if (NO_SPACE.includes(code)) {
    return new AgentError("ROOT_NO_SPACE", `${what}: ${describeSpace(progress)} (${code})`, {
      cause: thrown,
    });
  }
  const agentCode = ARCHIVE_ERRORS.includes(code) ? "ARCHIVE_BAD_MEMBER" : "ROOT_WRITE_FAILED";
  return new AgentError(agentCode, `${what}: ${syscall} failed with ${code}`, { cause: thrown });
}

function describeSpace({ rootFd, contentBytes, files }: WriteProgress): string {
  const { bsize, blocks, bavail, files: inodes, ffree } = statfsSync(pathOfDescriptor(rootFd));
  const megabytes = (bytes: number) => `${(bytes / 1e6).toFixed(1)} MB`;
  const free = `${megabytes(bavail * bsize)} of ${megabytes(blocks * bsize)} and ${ffree} of ${inodes} inodes are free`;
  return `no space left: ${free} after ${megabytes(contentBytes)} in ${files} files of this archive`;
}
