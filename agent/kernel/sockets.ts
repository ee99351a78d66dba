/**
 * TCP connections as plain descriptors that can be passed to the kernel: Node hides those of its sockets.
 * Layouts from include/uapi/linux/in.h and in6.h; node:fs reads and writes them.
 */
import { closeSync } from "node:fs";
import { isIPv6 } from "node:net";
import { O_CLOEXEC } from "./files.ts";
import { call, callAsync } from "./syscall.ts";

const AF_INET = 2;
const AF_INET6 = 10;
const SOCK_STREAM = 1;
const IPPROTO_TCP = 6;
const TCP_NODELAY = 1;
const SOL_SOCKET = 1;
const SO_KEEPALIVE = 9;
const SO_RCVTIMEO = 20;
const SO_SNDTIMEO = 21;

/** A blocking socket: connect, read and write fail with EAGAIN or EINPROGRESS after `timeoutMs`. The caller closes it. */
export async function connectTcp(
  address: string,
  port: number,
  { timeoutMs }: { timeoutMs: number },
): Promise<number> {
  const fd = call("socket", [isIPv6(address) ? AF_INET6 : AF_INET, SOCK_STREAM | O_CLOEXEC, IPPROTO_TCP]);
  try {
    setSocketTimeout(fd, timeoutMs);
    setFlag(fd, SOL_SOCKET, SO_KEEPALIVE);
    setFlag(fd, IPPROTO_TCP, TCP_NODELAY);
    const target = encodeAddress(address, port);
    await callAsync("connect", [fd, target, target.length], `${address} port ${port}`);
    return fd;
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

/** 0, the default, means no timeout. */
export function setSocketTimeout(fd: number, timeoutMs: number): void {
  const time = Buffer.alloc(16);
  time.writeBigInt64LE(BigInt(Math.floor(timeoutMs / 1000)), 0);
  time.writeBigInt64LE(BigInt((timeoutMs % 1000) * 1000), 8);
  for (const option of [SO_RCVTIMEO, SO_SNDTIMEO]) call("setsockopt", [fd, SOL_SOCKET, option, time, 16]);
}

function setFlag(fd: number, level: number, option: number): void {
  const on = Buffer.alloc(4);
  on.writeInt32LE(1);
  call("setsockopt", [fd, level, option, on, 4]);
}

/** sockaddr_in or sockaddr_in6. */
export function encodeAddress(address: string, port: number): Buffer {
  if (!isIPv6(address)) {
    const bytes = Buffer.alloc(16);
    bytes.writeUInt16LE(AF_INET, 0);
    bytes.writeUInt16BE(port, 2);
    Buffer.from(address.split(".").map(Number)).copy(bytes, 4);
    return bytes;
  }
  const bytes = Buffer.alloc(28);
  bytes.writeUInt16LE(AF_INET6, 0);
  bytes.writeUInt16BE(port, 2);
  encodeIpv6(address).copy(bytes, 8);
  return bytes;
}

/** The sixteen bytes of an address without a zone; a dotted-decimal tail stands for two groups. */
function encodeIpv6(address: string): Buffer {
  const plain = address.replace(/(\d+)\.(\d+)\.(\d+)\.(\d+)$/, (_, ...parts: string[]) => {
    const [a, b, c, d] = parts.map(Number);
    return `${((a! << 8) | b!).toString(16)}:${((c! << 8) | d!).toString(16)}`;
  });
  const [head = "", tail] = plain.split("::");
  const groupsOf = (text: string) =>
    text === "" ? [] : text.split(":").map((group) => Number.parseInt(group, 16));
  const before = groupsOf(head);
  const after = tail === undefined ? [] : groupsOf(tail);
  const middle = Array.from({ length: 8 - before.length - after.length }, () => 0);
  const bytes = Buffer.alloc(16);
  for (const [at, group] of [...before, ...middle, ...after].entries()) bytes.writeUInt16BE(group, at * 2);
  return bytes;
}
