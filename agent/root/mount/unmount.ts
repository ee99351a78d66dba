/** Unmounts a root that a driver mounted; the same for every driver. */
import { AgentError } from "../../errors.ts";
import { isKernelError, umount } from "../../kernel/syscalls.ts";

/** Throws ROOT_UNMOUNT_FAILED while somebody uses it. */
export function unmountRoot(path: string): void {
  try {
    umount(path);
  } catch (error) {
    if (!isKernelError(error)) throw error;
    throw new AgentError("ROOT_UNMOUNT_FAILED", `Cannot unmount the root at "${path}": ${error.code}`, {
      cause: error,
    });
  }
}
