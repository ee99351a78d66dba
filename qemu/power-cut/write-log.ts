/**
 * Reads the log of a guest's writes and flushes that QEMU's blklogwrites driver records.
 * Format: Linux, Documentation/admin-guide/device-mapper/log-writes.rst and drivers/md/dm-log-writes.c.
 */
import { open } from "node:fs/promises";

const MAGIC = 0x6a736677736872n;
const VERSION = 1n;
const FLUSH = 1n;
const FUA = 2n;
const DISCARD = 4n;

export interface LogEntry {
  /** Offset on the disk; meaningless for a flush. */
  offsetBytes: number;
  bytes: Buffer;
  /** All completed writes before this entry are on the disk. */
  isFlush: boolean;
  /** On the disk when it completes, without a flush. */
  isForced: boolean;
}

/** QEMU arguments for a virtio disk that writes to the raw file `disk` and to the log; both must exist. */
export function planLoggedDisk(disk: string, log: string): string[] {
  const doubleCommas = (path: string) => path.replaceAll(",", ",,");
  const files = `file.driver=file,file.filename=${doubleCommas(disk)},log.driver=file,log.filename=${doubleCommas(log)}`;
  return [
    ...["-blockdev", `driver=blklogwrites,node-name=logged,${files}`],
    ...["-device", "virtio-blk-pci,drive=logged"],
  ];
}

export async function readWriteLog(path: string): Promise<LogEntry[]> {
  const file = await open(path);
  try {
    return parseWriteLog(await file.readFile());
  } finally {
    await file.close();
  }
}

/** Returns the entries in order; their bytes are views of `log`. Throws if the log is invalid or truncated. */
export function parseWriteLog(log: Buffer): LogEntry[] {
  if (log.length < 32 || log.readBigUInt64LE(0) !== MAGIC || log.readBigUInt64LE(8) !== VERSION) {
    throw new Error("Cannot read the write log: it has no superblock of version 1");
  }
  const count = Number(log.readBigUInt64LE(16));
  const sectorBytes = log.readUInt32LE(24);
  const entries: LogEntry[] = [];
  let at = sectorBytes;
  while (entries.length < count) {
    if (at + sectorBytes > log.length) throw cutShort(entries.length, count);
    const flags = log.readBigUInt64LE(at + 16);
    const offsetBytes = Number(log.readBigUInt64LE(at)) * sectorBytes;
    const sizeBytes = Number(log.readBigUInt64LE(at + 8)) * sectorBytes;
    at += sectorBytes;
    // A discarded range may read as anything, also as before.
    const dataBytes = flags & DISCARD ? 0 : sizeBytes;
    if (at + dataBytes > log.length) throw cutShort(entries.length, count);
    entries.push({
      offsetBytes,
      bytes: log.subarray(at, at + dataBytes),
      isFlush: (flags & FLUSH) !== 0n,
      isForced: (flags & FUA) !== 0n,
    });
    at += dataBytes;
  }
  return entries;
}

function cutShort(found: number, count: number): Error {
  return new Error(`Cannot read the write log: it ends after ${found} of ${count} entries`);
}
