/**
 * Attaches a network block device, the cache or swap of a DUT without disks: connects, negotiates and passes the sockets to the
 * kernel. We ask for the server's default export, by the fixed newstyle and the oldstyle handshake (NBD protocol, doc/proto.md).
 */
import { lookup } from "node:dns/promises";
import { closeSync, read, write } from "node:fs";
import { promisify } from "node:util";
import { AgentError } from "../../errors.ts";
import type { NetworkBlockDevice } from "../../job/machine-settings.ts";
import { connectNbd, connectTcp, disconnectNbd, setSocketTimeout } from "../../kernel/syscalls.ts";
import { NBD_CONNECT_MS, NBD_REQUEST_MS } from "../limits.ts";
import type { SysLog } from "../sys-log.ts";
import { waitForDevice } from "./wait-for-device.ts";

export interface NbdOptions {
  log: SysLog;
  signal?: AbortSignal;
  /** The driver creates /dev/nbd0 and the others. */
  loadModule: (name: string) => Promise<boolean>;
  connectMs?: number;
  /** A failure is logged and the job continues, as boot2container's jobs continue without a cache. */
  isOptional?: boolean;
}

export interface AttachedDevice {
  /** To be called when nothing on it is mounted or used for swap. */
  release(): void;
}

/** Every file system and partition table works with it. */
const BLOCK_BYTES = 512;

/** Throws MACHINE_NBD_FAILED, or the signal's reason. */
export async function attachNetworkBlockDevice(
  { device, host, port, connections }: NetworkBlockDevice,
  options: NbdOptions,
): Promise<AttachedDevice> {
  const { log, signal, loadModule, connectMs = NBD_CONNECT_MS } = options;
  signal?.throwIfAborted();
  const index = Number(/\d+$/.exec(device)?.[0]);
  const sockets: number[] = [];
  try {
    await loadModule("nbd");
    const { address } = await lookup(host);
    const open = async (): Promise<NbdExport> => {
      const fd = await connectTcp(address, port, { timeoutMs: connectMs });
      sockets.push(fd);
      const nbdExport = await negotiate(createStream(fd));
      // The kernel reads from an idle connection without a limit.
      setSocketTimeout(fd, 0);
      return nbdExport;
    };
    const { sizeBytes, flags } = await open();
    const isShared = (flags & NBD_FLAG_CAN_MULTI_CONN) !== 0;
    if (connections > 1 && !isShared)
      log.warn(`machine: ${host}:${port} allows one connection for ${device}, not ${connections}`);
    for (let more = isShared ? connections - 1 : 0; more > 0; more--) await open();
    await waitForDevice(device, { waitMs: connectMs, signal });
    connectNbd({
      index,
      sizeBytes: sizeBytes - (sizeBytes % BLOCK_BYTES),
      blockSizeBytes: BLOCK_BYTES,
      serverFlags: flags,
      timeoutMs: NBD_REQUEST_MS,
      sockets,
    });
    const megabytes = (sizeBytes / 1e6).toFixed(0);
    log.info(`machine: ${device} is ${host}:${port}, ${megabytes} MB, ${sockets.length} connections`);
  } catch (cause) {
    signal?.throwIfAborted();
    const message = `Cannot attach ${device} to "${host}:${port}": ${(cause as Error).message}`;
    if (!options.isOptional) throw new AgentError("MACHINE_NBD_FAILED", message, { cause });
    log.warn(`machine: NO ${device}: ${message}`);
    return { release: () => {} };
  } finally {
    for (const fd of sockets) closeSync(fd);
  }
  return {
    release() {
      try {
        disconnectNbd(index);
      } catch (error) {
        log.warn(`machine: ${device} cannot be detached: ${(error as Error).message}`);
      }
    },
  };
}

/** Over a blocking socket with its own time limit. */
function createStream(fd: number): HandshakeStream {
  const readSome = promisify(read);
  const writeSome = promisify(write);
  return {
    async read(sizeBytes) {
      const bytes = Buffer.alloc(sizeBytes);
      for (let done = 0; done < sizeBytes; ) {
        const { bytesRead } = await readSome(fd, bytes, done, sizeBytes - done, null);
        if (bytesRead === 0) throw new Error("the server closed the connection");
        done += bytesRead;
      }
      return bytes;
    },
    async write(bytes) {
      for (let done = 0; done < bytes.length; ) {
        done += (await writeSome(fd, bytes, done, bytes.length - done, null)).bytesWritten;
      }
    },
  };
}

interface HandshakeStream {
  /** Exactly this many. */
  read(sizeBytes: number): Promise<Buffer>;
  write(bytes: Buffer): Promise<void>;
}

interface NbdExport {
  sizeBytes: number;
  /** Transmission flags, as the kernel takes them. */
  flags: number;
}

const INIT_MAGIC = Buffer.from("NBDMAGIC");
const OPTION_MAGIC = Buffer.from("IHAVEOPT");
const OLDSTYLE_MAGIC = Buffer.from("0000420281861253", "hex");
const FLAG_NO_ZEROES = 2;
/** Fixed newstyle, and no padding after the reply. */
const KNOWN_FLAGS = 1 | FLAG_NO_ZEROES;
const OPT_EXPORT_NAME = 1;
const PADDING_BYTES = 124;

/** The export may have several connections at once. */
const NBD_FLAG_CAN_MULTI_CONN = 1 << 8;

async function negotiate(stream: HandshakeStream): Promise<NbdExport> {
  const greeting = await stream.read(16);
  if (!greeting.subarray(0, 8).equals(INIT_MAGIC)) throw new Error("this is not an NBD server");
  const style = greeting.subarray(8);
  if (style.equals(OLDSTYLE_MAGIC)) {
    const reply = await stream.read(8 + 4 + PADDING_BYTES);
    return { sizeBytes: readSize(reply), flags: reply.readUInt32BE(8) & 0xffff };
  }
  if (!style.equals(OPTION_MAGIC)) throw new Error("the server uses an unknown handshake");
  const offered = (await stream.read(2)).readUInt16BE(0);
  const agreed = offered & KNOWN_FLAGS;
  const request = Buffer.alloc(4 + 8 + 4 + 4);
  request.writeUInt32BE(agreed, 0);
  OPTION_MAGIC.copy(request, 4);
  request.writeUInt32BE(OPT_EXPORT_NAME, 12);
  // An empty name: the default export.
  await stream.write(request);
  // A server without one can only close the connection.
  const reply = await stream.read(8 + 2).catch((error: unknown) => {
    throw new Error("the server has no default export", { cause: error });
  });
  if ((agreed & FLAG_NO_ZEROES) === 0) await stream.read(PADDING_BYTES);
  return { sizeBytes: readSize(reply), flags: reply.readUInt16BE(8) };
}

function readSize(reply: Buffer): number {
  const sizeBytes = Number(reply.readBigUInt64BE(0));
  if (sizeBytes === 0 || !Number.isSafeInteger(sizeBytes))
    throw new Error(`the export has ${sizeBytes} bytes`);
  return sizeBytes;
}
