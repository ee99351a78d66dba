/**
 * Gives connections to an NBD server to the kernel's nbd driver (Linux 4.10), which needs no process of ours from then on.
 * Attributes from include/uapi/linux/nbd-netlink.h.
 */
import { askFamily, formatNested, formatU32, formatU64 } from "./netlink.ts";

const FAMILY = "nbd";
const NBD_CMD_CONNECT = 1;
const NBD_CMD_DISCONNECT = 2;
const NBD_ATTR_INDEX = 1;
const NBD_ATTR_SIZE_BYTES = 2;
const NBD_ATTR_BLOCK_SIZE_BYTES = 3;
const NBD_ATTR_TIMEOUT = 4;
const NBD_ATTR_SERVER_FLAGS = 5;
const NBD_ATTR_SOCKETS = 7;
const NBD_SOCK_ITEM = 1;
const NBD_SOCK_FD = 1;

export interface NbdConnection {
  /** N of /dev/nbdN. */
  index: number;
  /** A multiple of the block size. */
  sizeBytes: number;
  blockSizeBytes: number;
  /** What the server says it can, as it said it. */
  serverFlags: number;
  /** Of one request; the kernel counts in seconds. */
  timeoutMs: number;
  /** Connected, past the handshake; the kernel keeps what it needs of them, the caller closes them. */
  sockets: readonly number[];
}

/** Throws KernelError: EBUSY where the device is in use, ENOENT where the kernel has no nbd driver (loaded). */
export function connectNbd(connection: NbdConnection): void {
  askFamily(FAMILY, NBD_CMD_CONNECT, [
    formatU32(NBD_ATTR_INDEX, connection.index),
    formatU64(NBD_ATTR_SIZE_BYTES, connection.sizeBytes),
    formatU64(NBD_ATTR_BLOCK_SIZE_BYTES, connection.blockSizeBytes),
    formatU64(NBD_ATTR_TIMEOUT, Math.ceil(connection.timeoutMs / 1000)),
    formatU64(NBD_ATTR_SERVER_FLAGS, connection.serverFlags),
    formatNested(
      NBD_ATTR_SOCKETS,
      connection.sockets.map((fd) => formatNested(NBD_SOCK_ITEM, [formatU32(NBD_SOCK_FD, fd)])),
    ),
  ]);
}

export function disconnectNbd(index: number): void {
  askFamily(FAMILY, NBD_CMD_DISCONNECT, [formatU32(NBD_ATTR_INDEX, index)]);
}
