/**
 * Passes connections to an NBD server to the kernel's nbd driver (Linux 4.10), which then needs no process of ours.
 * Generic netlink: one request of nested attributes, one answer. Layouts from include/uapi/linux/netlink.h, genetlink.h
 * and nbd-netlink.h; integers are in the machine's order, which is little-endian on x86_64 and arm64.
 */
import { closeSync, readSync, writeSync } from "node:fs";
import { KernelError } from "./errno.ts";
import { O_CLOEXEC } from "./files.ts";
import { call } from "./syscall.ts";

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
  /** The server's transmission flags, unchanged. */
  serverFlags: number;
  /** Of one request; the kernel rounds to seconds. */
  timeoutMs: number;
  /** Connected and past the handshake; the kernel duplicates them, the caller closes them. */
  sockets: readonly number[];
}

/** Throws KernelError: EBUSY when the device is in use, ENOENT when no nbd driver is loaded. */
export function connectNbd(connection: NbdConnection): void {
  sendRequest(NBD_CMD_CONNECT, [
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
  sendRequest(NBD_CMD_DISCONNECT, [formatU32(NBD_ATTR_INDEX, index)]);
}

const FAMILY = "nbd";
const AF_NETLINK = 16;
const SOCK_RAW = 3;
const NETLINK_GENERIC = 16;
const NLM_F_REQUEST = 1;
const NLM_F_ACK = 4;
const NLMSG_ERROR = 2;
const HEADER_BYTES = 16;
const GENERIC_BYTES = 4;
const NLA_F_NESTED = 0x8000;
/** Family descriptions are below 4 KiB. */
const ANSWER_BYTES = 32 * 1024;

function formatAttribute(type: number, value: Buffer): Buffer {
  const header = Buffer.alloc(4);
  header.writeUInt16LE(4 + value.length, 0);
  header.writeUInt16LE(type, 2);
  return Buffer.concat([header, value, Buffer.alloc((4 - (value.length % 4)) % 4)]);
}

function formatNested(type: number, attributes: readonly Buffer[]): Buffer {
  return formatAttribute(type | NLA_F_NESTED, Buffer.concat(attributes));
}

function formatU32(type: number, value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return formatAttribute(type, bytes);
}

function formatU64(type: number, value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return formatAttribute(type, bytes);
}

const GENL_ID_CTRL = 0x10;
const CTRL_CMD_GETFAMILY = 3;
const CTRL_ATTR_FAMILY_ID = 1;
const CTRL_ATTR_FAMILY_NAME = 2;

/** Throws KernelError with the kernel's refusal: ENOENT when no nbd driver is loaded. */
function sendRequest(command: number, attributes: readonly Buffer[]): void {
  const fd = call("socket", [AF_NETLINK, SOCK_RAW | O_CLOEXEC, NETLINK_GENERIC]);
  try {
    const name = formatAttribute(CTRL_ATTR_FAMILY_NAME, Buffer.from(`${FAMILY}\0`));
    const description = exchange(fd, GENL_ID_CTRL, CTRL_CMD_GETFAMILY, [name]);
    const id = findAttribute(description, CTRL_ATTR_FAMILY_ID)?.readUInt16LE(0);
    if (id === undefined) throw new KernelError("netlink", 2, FAMILY);
    exchange(fd, id, command, attributes);
  } finally {
    closeSync(fd);
  }
}

let lastSequence = 0;

/** The attributes of the answer; empty when the kernel only acknowledged. */
function exchange(fd: number, type: number, command: number, attributes: readonly Buffer[]): Buffer {
  const body = Buffer.concat(attributes);
  const message = Buffer.alloc(HEADER_BYTES + GENERIC_BYTES);
  const sequence = ++lastSequence;
  message.writeUInt32LE(message.length + body.length, 0);
  message.writeUInt16LE(type, 4);
  message.writeUInt16LE(NLM_F_REQUEST | NLM_F_ACK, 6);
  message.writeUInt32LE(sequence, 8);
  message.writeUInt8(command, HEADER_BYTES);
  message.writeUInt8(1, HEADER_BYTES + 1);
  writeSync(fd, Buffer.concat([message, body]));
  const answer = Buffer.alloc(ANSWER_BYTES);
  let found = Buffer.alloc(0);
  // The answer, if any, is followed by an acknowledgement.
  for (;;) {
    const sizeBytes = readSync(fd, answer);
    for (let at = 0; at + HEADER_BYTES <= sizeBytes; ) {
      const length = Math.max(HEADER_BYTES, answer.readUInt32LE(at));
      if (answer.readUInt32LE(at + 8) === sequence) {
        if (answer.readUInt16LE(at + 4) === NLMSG_ERROR) {
          const error = answer.readInt32LE(at + HEADER_BYTES);
          if (error !== 0) throw new KernelError("netlink", -error, FAMILY);
          return found;
        }
        found = Buffer.from(answer.subarray(at + HEADER_BYTES + GENERIC_BYTES, at + length));
      }
      at += (length + 3) & ~3;
    }
  }
}

function findAttribute(attributes: Buffer, wanted: number): Buffer | undefined {
  for (let at = 0; at + 4 <= attributes.length; ) {
    const length = attributes.readUInt16LE(at);
    if (length < 4) return undefined;
    if ((attributes.readUInt16LE(at + 2) & 0x3fff) === wanted)
      return attributes.subarray(at + 4, at + length);
    at += (length + 3) & ~3;
  }
  return undefined;
}
