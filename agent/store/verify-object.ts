/**
 * Is an object still what its name says? Asked before use: by the kernel's own fs-verity seal where there is one,
 * by hashing the whole content where there is not.
 */
import { closeSync, constants, openSync, readSync } from "node:fs";
import { isKernelError, measureVerity, VerityHasher } from "../kernel/syscalls.ts";
import { READ_CHUNK_BYTES } from "../limits.ts";

export type ObjectState = "sealed" | "good" | "damaged" | "missing";

/**
 * `sealed`: the kernel checks every read from now on. A trusted seal saves reading here: bytes that the disk has changed
 * since then are an error of whoever reads them first, and never wrong bytes.
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
    if (seal !== undefined && trustsSeals) return "sealed";
    const hasher = new VerityHasher();
    for (;;) {
      const length = readSync(fd, buffer, 0, buffer.length, null);
      if (length === 0) break;
      hasher.update(buffer.subarray(0, length));
    }
    if (hasher.digest() !== verityDigest) return "damaged";
    return seal === undefined ? "good" : "sealed";
  } catch (error) {
    // A disk that cannot be read is as bad as one that gives wrong bytes: the object is fetched again.
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
