/**
 * Receives an open descriptor from another process over a Unix socket (unix(7), SCM_RIGHTS), which Node cannot.
 * A container runtime passes its terminal this way.
 */
import { closeSync, readSync, writeSync } from "node:fs";
import { O_CLOEXEC } from "./files.ts";
import { call, callAsync } from "./syscall.ts";

const AF_UNIX = 1;
const SOCK_STREAM = 1;
const SHUT_RDWR = 2;
const MSG_CMSG_CLOEXEC = 0x4000_0000;
const SOL_SOCKET = 1;
const SCM_RIGHTS = 1;
/** sockaddr_un.sun_path with its NUL. */
const PATH_MAX_BYTES = 107;

export interface DescriptorSocket {
  /** The descriptor that the first client sends, close-on-exec; rejects after `close`. */
  receive(): Promise<number>;
  close(): void;
}

/** Listens at `path`, which must not exist yet. */
export function listenForDescriptor(path: string): DescriptorSocket {
  const name = Buffer.from(path);
  if (name.length > PATH_MAX_BYTES)
    throw new RangeError(`A socket's path has at most ${PATH_MAX_BYTES} bytes, got ${name.length}`);
  const listenFd = call("socket", [AF_UNIX, SOCK_STREAM | O_CLOEXEC, 0]);
  const address = Buffer.alloc(2 + PATH_MAX_BYTES + 1);
  address.writeUInt16LE(AF_UNIX, 0);
  name.copy(address, 2);
  try {
    call("bind", [listenFd, address, 2 + name.length + 1], path);
    call("listen", [listenFd, 1]);
  } catch (error) {
    closeSync(listenFd);
    throw error;
  }
  let accepting: Promise<number> | undefined;
  return {
    async receive() {
      accepting = callAsync("accept4", [listenFd, null, null, O_CLOEXEC], path);
      const fd = await accepting;
      try {
        return await receiveFrom(fd);
      } finally {
        closeSync(fd);
      }
    },
    close() {
      // Ends a waiting accept4; the descriptor is closed after it, as its number may be reused at once.
      call("shutdown", [listenFd, SHUT_RDWR]);
      const free = () => closeSync(listenFd);
      if (accepting) accepting.then(free, free);
      else free();
    },
  };
}

const PAGE_BYTES = 4096;
const PROT_READ_WRITE = 3;
const MAP_SHARED = 1;
const IOVEC_AT = 64;
const DATA_AT = 128;
const CONTROL_AT = 192;
/** CMSG_SPACE(sizeof(int)) */
const CONTROL_BYTES = 24;

/**
 * recvmsg(2) follows pointers in its argument, and the address of a Buffer is unknown. The argument is therefore in a memfd,
 * which is mapped for its address, and read and written as a file.
 */
async function receiveFrom(socketFd: number): Promise<number> {
  const memoryFd = call("memfd_create", ["msghdr", 1 /* MFD_CLOEXEC */]);
  try {
    const page = Buffer.alloc(PAGE_BYTES);
    writeSync(memoryFd, page, 0, PAGE_BYTES, 0);
    const address = call("mmap", [0, PAGE_BYTES, PROT_READ_WRITE, MAP_SHARED, memoryFd, 0]);
    try {
      page.writeBigUInt64LE(BigInt(address + IOVEC_AT), 16); // struct msghdr: msg_iov, msg_iovlen,
      page.writeBigUInt64LE(1n, 24);
      page.writeBigUInt64LE(BigInt(address + CONTROL_AT), 32); // msg_control, msg_controllen
      page.writeBigUInt64LE(BigInt(CONTROL_BYTES), 40);
      page.writeBigUInt64LE(BigInt(address + DATA_AT), IOVEC_AT); // struct iovec: a message has at least one byte
      page.writeBigUInt64LE(BigInt(CONTROL_AT - DATA_AT), IOVEC_AT + 8);
      writeSync(memoryFd, page, 0, PAGE_BYTES, 0);
      await callAsync("recvmsg", [socketFd, address, MSG_CMSG_CLOEXEC]);
      readSync(memoryFd, page, 0, PAGE_BYTES, 0);
    } finally {
      call("munmap", [address, PAGE_BYTES]);
    }
    const isDescriptor =
      page.readUInt32LE(CONTROL_AT + 8) === SOL_SOCKET && page.readUInt32LE(CONTROL_AT + 12) === SCM_RIGHTS;
    if (page.readBigUInt64LE(40) === 0n || !isDescriptor)
      throw new TypeError("The message contains no descriptor");
    return page.readInt32LE(CONTROL_AT + 16);
  } finally {
    closeSync(memoryFd);
  }
}
