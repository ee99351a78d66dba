/**
 * Verifies an object before use: by its fs-verity seal if it has one, else by hashing its content.
 */
import { closeSync, constants, openSync, readSync } from "node:fs";
import { isKernelError, measureVerity, VerityHasher } from "../kernel/syscalls.ts";
import { READ_CHUNK_BYTES } from "../limits.ts";

export type ObjectState = "intact" | "damaged" | "missing";

/**
 * A trusted seal saves reading the file: the kernel checks every read, so damage is a read error later, never wrong bytes.
 */
export function verifyObject(
  path: string,
  verityDigest: string,
  { buffer, trustsSeals }: { buffer: Buffer; trustsSeals: boolean },
): ObjectState {
  let fd: number;
  try {
    fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return "missing";
    throw error;
  }
  try {
    const seal = readSeal(fd);
    if (seal !== undefined && seal !== verityDigest) return "damaged";
    if (seal !== undefined && trustsSeals) return "intact";
    const hasher = new VerityHasher();
    for (;;) {
      const length = readSync(fd, buffer, 0, buffer.length, null);
      if (length === 0) break;
      hasher.update(buffer.subarray(0, length));
    }
    return hasher.digest() === verityDigest ? "intact" : "damaged";
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EIO") return "damaged";
    throw error;
  } finally {
    closeSync(fd);
  }
}

export function createVerifyBuffer(): Buffer {
  return Buffer.allocUnsafeSlow(READ_CHUNK_BYTES);
}

function readSeal(fd: number): string | undefined {
  try {
    return measureVerity(fd).digest.toString("hex");
  } catch (error) {
    if (isKernelError(error, "ENODATA", "ENOTTY", "ENOTSUP")) return undefined;
    throw error;
  }
}
