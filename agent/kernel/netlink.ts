/**
 * Generic netlink: messages of nested attributes to a part of the kernel that is called by its name, one question and one answer.
 * Layouts from include/uapi/linux/netlink.h and genetlink.h; numbers are the machine's own, little-endian here.
 */
import { closeSync, readSync, writeSync } from "node:fs";
import { KernelError } from "./errno.ts";
import { O_CLOEXEC } from "./files.ts";
import { call } from "./syscall.ts";

const AF_NETLINK = 16;
const SOCK_RAW = 3;
const NETLINK_GENERIC = 16;
const NLM_F_REQUEST = 1;
const NLM_F_ACK = 4;
const NLMSG_ERROR = 2;
const HEADER_BYTES = 16;
const GENERIC_BYTES = 4;
const NLA_F_NESTED = 0x8000;
/** Of one answer; the families' own descriptions are below 4 KiB. */
const ANSWER_BYTES = 32 * 1024;

function formatAttribute(type: number, value: Buffer): Buffer {
  const header = Buffer.alloc(4);
  header.writeUInt16LE(4 + value.length, 0);
  header.writeUInt16LE(type, 2);
  return Buffer.concat([header, value, Buffer.alloc((4 - (value.length % 4)) % 4)]);
}

export function formatNested(type: number, attributes: readonly Buffer[]): Buffer {
  return formatAttribute(type | NLA_F_NESTED, Buffer.concat(attributes));
}

export function formatU32(type: number, value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return formatAttribute(type, bytes);
}

export function formatU64(type: number, value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return formatAttribute(type, bytes);
}

const GENL_ID_CTRL = 0x10;
const CTRL_CMD_GETFAMILY = 3;
const CTRL_ATTR_FAMILY_ID = 1;
const CTRL_ATTR_FAMILY_NAME = 2;

/** Asks the part of the kernel called `family`; throws KernelError with what it refuses with (ENOENT: there is none). */
export function askFamily(family: string, command: number, attributes: readonly Buffer[]): void {
  const fd = call("socket", [AF_NETLINK, SOCK_RAW | O_CLOEXEC, NETLINK_GENERIC]);
  try {
    const name = formatAttribute(CTRL_ATTR_FAMILY_NAME, Buffer.from(`${family}\0`));
    const description = exchange(fd, GENL_ID_CTRL, CTRL_CMD_GETFAMILY, [name], family);
    const id = findAttribute(description, CTRL_ATTR_FAMILY_ID)?.readUInt16LE(0);
    if (id === undefined) throw new KernelError("netlink", 2, family);
    exchange(fd, id, command, attributes, family);
  } finally {
    closeSync(fd);
  }
}

let lastSequence = 0;

/** The attributes of the answer; empty where the kernel only agreed. */
function exchange(
  fd: number,
  type: number,
  command: number,
  attributes: readonly Buffer[],
  family: string,
): Buffer {
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
  // What was asked for, if anything, and then the acknowledgement.
  for (;;) {
    const sizeBytes = readSync(fd, answer);
    for (let at = 0; at + HEADER_BYTES <= sizeBytes; ) {
      const length = Math.max(HEADER_BYTES, answer.readUInt32LE(at));
      if (answer.readUInt32LE(at + 8) === sequence) {
        if (answer.readUInt16LE(at + 4) === NLMSG_ERROR) {
          const error = answer.readInt32LE(at + HEADER_BYTES);
          if (error !== 0) throw new KernelError("netlink", -error, family);
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
