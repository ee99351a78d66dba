/**
 * Attaches a network block device: connects, shakes hands, and leaves the rest to the kernel.
 * A disk-less DUT keeps its cache or its swap there.
 */
import { lookup } from "node:dns/promises";
import { closeSync, read, write } from "node:fs";
import { promisify } from "node:util";
import { AgentError } from "../../errors.ts";
import type { NetworkBlockDevice } from "../../job/machine-settings.ts";
import { connectNbd, connectTcp, disconnectNbd, setSocketTimeout } from "../../kernel/syscalls.ts";
import { NBD_CONNECT_MS, NBD_REQUEST_MS } from "../limits.ts";
import type { SysLog } from "../sys-log.ts";
import { type HandshakeStream, NBD_FLAG_CAN_MULTI_CONN, type NbdExport, negotiate } from "./nbd-handshake.ts";
import { waitForDevice } from "./wait-for-device.ts";

export interface NbdOptions {
  log: SysLog;
  signal?: AbortSignal;
  /** Of the module loader; the driver brings /dev/nbd0 and so on with it. */
  loadModule: (name: string) => Promise<boolean>;
  connectMs?: number;
  /** The job goes on without it, as those of boot2container go on without a cache: what is wrong is told and no error. */
  isOptional?: boolean;
}

export interface AttachedDevice {
  /** Once nothing of it is mounted or swapped to. */
  release(): void;
}

/** What every file system and partition table can live with. */
const BLOCK_BYTES = 512;

/** Throws MACHINE_NBD_FAILED; the signal's reason when it was aborted. */
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
      const found = await negotiate(createStream(fd));
      // The kernel waits for answers as long as there are none to wait for.
      setSocketTimeout(fd, 0);
      return found;
    };
    const { sizeBytes, flags } = await open();
    const isShared = (flags & NBD_FLAG_CAN_MULTI_CONN) !== 0;
    if (connections > 1 && !isShared)
      log.warn(`machine: ${host}:${port} takes one connection to ${device}, not ${connections}`);
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
    const what = `Cannot attach ${device} to "${host}:${port}": ${(cause as Error).message}`;
    if (!options.isOptional) throw new AgentError("MACHINE_NBD_FAILED", what, { cause });
    log.warn(`machine: NO ${device}: ${what}`);
    return { release: () => {} };
  } finally {
    for (const fd of sockets) closeSync(fd);
  }
  return {
    release() {
      try {
        disconnectNbd(index);
      } catch (error) {
        log.warn(`machine: ${device} stays attached: ${(error as Error).message}`);
      }
    },
  };
}

/** A blocking descriptor, which has a time limit of its own. */
function createStream(fd: number): HandshakeStream {
  const readSome = promisify(read);
  const writeSome = promisify(write);
  return {
    async read(sizeBytes) {
      const bytes = Buffer.alloc(sizeBytes);
      for (let done = 0; done < sizeBytes; ) {
        const { bytesRead } = await readSome(fd, bytes, done, sizeBytes - done, null);
        if (bytesRead === 0) throw new Error("it hung up");
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
