/**
 * fscrypt ioctls: keys of a file system, and the policy that binds a directory to a key.
 * Layouts from include/uapi/linux/fscrypt.h; the same on x86_64 and arm64. Policies have version 2 and encrypt contents with AES-256-XTS.
 */
import { isKernelError } from "./errno.ts";
import { ioctl, ioctlAsync } from "./machine.ts";

const FS_IOC_SET_ENCRYPTION_POLICY = 0x800c6613;
const FS_IOC_GET_ENCRYPTION_POLICY_EX = 0xc0096616;
const FS_IOC_ADD_ENCRYPTION_KEY = 0xc0506617;
const FS_IOC_REMOVE_ENCRYPTION_KEY = 0xc0406618;

const KEY_SPEC_IDENTIFIER = 2;
const KEY_SPEC_BYTES = 40; // struct fscrypt_key_specifier: type, reserved, 32 bytes of identifier
const IDENTIFIER_OFFSET = 8;
const IDENTIFIER_BYTES = 16;
const ADD_KEY_BYTES = 80; // struct fscrypt_add_key_arg, before the key itself
const REMOVE_KEY_BYTES = 64;

const POLICY_V2 = 2;
const POLICY_BYTES = 24;
const MODE_AES_256_XTS = 1;
const MODE_AES_256_CTS = 4;
/** Names are padded to 32 bytes, so that their lengths reveal little. */
const PAD_32 = 3;

/** The kernel's 16-byte name for a key, derived from the key. */
export type KeyIdentifier = Buffer;

/** Adds a key of 16 to 64 bytes to the file system of `fd`, until it is unmounted. */
export function addEncryptionKey(fd: number, key: Buffer): KeyIdentifier {
  const argument = Buffer.alloc(ADD_KEY_BYTES + key.length);
  argument.writeUInt32LE(KEY_SPEC_IDENTIFIER, 0);
  argument.writeUInt32LE(key.length, KEY_SPEC_BYTES);
  key.copy(argument, ADD_KEY_BYTES);
  try {
    ioctl(fd, FS_IOC_ADD_ENCRYPTION_KEY, argument);
    return Buffer.from(argument.subarray(IDENTIFIER_OFFSET, IDENTIFIER_OFFSET + IDENTIFIER_BYTES));
  } finally {
    argument.fill(0);
  }
}

/** Removes the key: files encrypted with it become unreadable once they are closed. */
export async function removeEncryptionKey(fd: number, identifier: KeyIdentifier): Promise<void> {
  const argument = Buffer.alloc(REMOVE_KEY_BYTES);
  argument.writeUInt32LE(KEY_SPEC_IDENTIFIER, 0);
  identifier.copy(argument, IDENTIFIER_OFFSET);
  // Async: the kernel writes back and evicts inodes.
  await ioctlAsync(fd, FS_IOC_REMOVE_ENCRYPTION_KEY, argument);
}

/** `directoryFd` is an empty directory: everything created in it is encrypted. Setting the same policy again succeeds. */
export function setEncryptionPolicy(directoryFd: number, identifier: KeyIdentifier): void {
  const policy = Buffer.alloc(POLICY_BYTES);
  policy.set([POLICY_V2, MODE_AES_256_XTS, MODE_AES_256_CTS, PAD_32]);
  identifier.copy(policy, POLICY_BYTES - IDENTIFIER_BYTES);
  ioctl(directoryFd, FS_IOC_SET_ENCRYPTION_POLICY, policy);
}

/** The key's identifier; "foreign" for a policy of version 1; undefined for an unencrypted file. */
export function readEncryptionPolicy(fd: number): KeyIdentifier | "foreign" | undefined {
  const answer = Buffer.alloc(8 + POLICY_BYTES); // struct fscrypt_get_policy_ex_arg: room for a policy, then the policy
  answer.writeBigUInt64LE(BigInt(POLICY_BYTES), 0);
  try {
    ioctl(fd, FS_IOC_GET_ENCRYPTION_POLICY_EX, answer);
  } catch (error) {
    if (isKernelError(error, "ENODATA", "ENOTTY", "ENOTSUP")) return undefined;
    throw error;
  }
  if (answer.readUInt8(8) !== POLICY_V2) return "foreign";
  return Buffer.from(answer.subarray(8 + POLICY_BYTES - IDENTIFIER_BYTES));
}
