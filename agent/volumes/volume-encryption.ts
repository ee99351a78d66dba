/**
 * Encrypted volumes: ext4's fscrypt with one key per volume, which the file system has while the job runs.
 * Linux kernel documentation, "Filesystem-level encryption (fscrypt)".
 */
import { closeSync, constants, mkdirSync, openSync, readdirSync, rmSync } from "node:fs";
import { dirname } from "node:path";
import { AgentError } from "../errors.ts";
import type { Volume } from "../job/volume.ts";
import {
  addEncryptionKey,
  isKernelError,
  type KeyIdentifier,
  O_CLOEXEC,
  O_DIRECTORY,
  O_NOFOLLOW,
  readEncryptionPolicy,
  removeEncryptionKey,
  setEncryptionPolicy,
} from "../kernel/syscalls.ts";

const KEY_BYTES = 64;
const OPEN_FLAGS = constants.O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;

export interface VolumeLock {
  /** Removes the key from the file system. */
  close(): Promise<void>;
}

type EncryptedVolume = Pick<Volume, "name" | "fscryptKey" | "resetsFscryptKey">;

/** Unlocks the volume's directory, or sets up its encryption. Throws VOLUME_* errors. */
export function unlockVolume(volume: EncryptedVolume, dataPath: string): VolumeLock | undefined {
  const { name, fscryptKey, resetsFscryptKey } = volume;
  const policy = withDirectory(dataPath, readEncryptionPolicy);
  if (fscryptKey === undefined) {
    if (policy === undefined) return undefined;
    throw new AgentError("VOLUME_KEY_MISSING", `Cannot open volume "${name}": it is encrypted`);
  }
  const key = parseKey(name, fscryptKey);
  try {
    const identifier = withDirectory(dataPath, (fd) => addEncryptionKey(fd, key));
    if (policy === undefined || policy === "foreign" || !policy.equals(identifier)) {
      emptyForPolicy({ name, resetsFscryptKey, isEncrypted: policy !== undefined }, dataPath);
      withDirectory(dataPath, (fd) => setEncryptionPolicy(fd, identifier));
    }
    return { close: () => forgetKey(dataPath, identifier) };
  } catch (error) {
    if (!isKernelError(error)) throw error;
    const isUnsupported = ["ENOTSUP", "ENOTTY", "ENOSYS"].includes(error.code);
    const reason = isUnsupported ? "its file system does not support encryption" : error.message;
    throw new AgentError("VOLUME_ENCRYPTION_UNSUPPORTED", `Cannot encrypt volume "${name}": ${reason}`, {
      cause: error,
    });
  } finally {
    key.fill(0);
  }
}

/** A policy needs an empty directory; the job says whether it may be emptied. */
function emptyForPolicy(
  volume: { name: string; resetsFscryptKey: boolean; isEncrypted: boolean },
  dataPath: string,
): void {
  if (!volume.isEncrypted && readdirSync(dataPath).length === 0) return;
  if (!volume.resetsFscryptKey) {
    const reason = volume.isEncrypted ? "it is encrypted with another key" : "it has unencrypted files";
    throw new AgentError("VOLUME_WRONG_KEY", `Cannot open volume "${volume.name}": ${reason}`);
  }
  rmSync(dataPath, { recursive: true, force: true });
  mkdirSync(dataPath, { mode: 0o755 });
}

function parseKey(name: string, text: string): Buffer {
  const key = /^[A-Za-z0-9+/]+={0,2}$/.test(text) ? Buffer.from(text, "base64") : Buffer.alloc(0);
  if (key.length === KEY_BYTES) return key;
  throw new AgentError(
    "VOLUME_BAD_KEY",
    `Cannot open volume "${name}": its fscrypt_key is not ${KEY_BYTES} bytes in base64`,
  );
}

function withDirectory<Result>(path: string, use: (fd: number) => Result): Result {
  const fd = openSync(path, OPEN_FLAGS);
  try {
    return use(fd);
  } finally {
    closeSync(fd);
  }
}

/** Through the parent directory, because an open directory keeps its key in use. */
async function forgetKey(dataPath: string, identifier: KeyIdentifier): Promise<void> {
  const fd = openSync(dirname(dataPath), OPEN_FLAGS);
  try {
    await removeEncryptionKey(fd, identifier);
  } catch (error) {
    // Another file system is mounted there; its keys are removed when it is unmounted.
    if (!isKernelError(error, "ENOKEY", "ENOTSUP", "ENOTTY")) throw error;
  } finally {
    closeSync(fd);
  }
}
