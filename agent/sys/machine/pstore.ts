/**
 * The kernel's last messages of an earlier boot, kept by the firmware, reserved memory or a disk (Documentation/ABI/testing/pstore).
 * Deleting its file clears a record.
 */
import { closeSync, fstatSync, mkdirSync, openSync, readdirSync, readSync, unlinkSync } from "node:fs";
import { join } from "node:path";
import { isKernelError, mount } from "../../kernel/syscalls.ts";
import { PSTORE_MAX_BYTES } from "../limits.ts";

const PSTORE_PATH = "/sys/fs/pstore";

export interface CrashRecord {
  /** As the kernel names it, `dmesg-ramoops-0`. */
  name: string;
  text: string;
}

export interface CrashRecords {
  records: readonly CrashRecord[];
  /** The message of a panic. */
  panic?: string;
  /** To be called when the records are stored elsewhere. */
  clear(): void;
}

/** A kernel without pstore is not an error. */
export function mountPstore(path = PSTORE_PATH): void {
  try {
    mkdirSync(path, { recursive: true });
    mount({ source: "pstore", target: path, type: "pstore" });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const isAbsent = isKernelError(error, "ENODEV", "EBUSY") || code === "ENOENT" || code === "EPERM";
    if (!isAbsent) throw error;
  }
}

const RECORD_NAME = /^(dmesg|console|pmsg|ftrace|mce|rtas|powerpc-\w+)-[\w.-]+$/;

/** Unreadable records are logged and kept. */
export function readCrashRecords(warn: (message: string) => void, path = PSTORE_PATH): CrashRecords {
  const records: CrashRecord[] = [];
  let restBytes = PSTORE_MAX_BYTES;
  for (const name of listNames(path).filter((each) => RECORD_NAME.test(each))) {
    try {
      const bytes = readStart(join(path, name), restBytes);
      restBytes -= bytes.length;
      records.push({ name, text: bytes.toString("utf8") });
    } catch (error) {
      warn(`pstore: "${name}" cannot be read: ${(error as Error).message}`);
    }
  }
  const panic = findPanic(records);
  const uncleared = [...records];
  return {
    records,
    panic,
    clear() {
      for (const { name } of uncleared.splice(0)) {
        try {
          unlinkSync(join(path, name));
        } catch (error) {
          warn(`pstore: "${name}" cannot be cleared: ${(error as Error).message}`);
        }
      }
    },
  };
}

function listNames(path: string): string[] {
  try {
    return readdirSync(path).sort();
  } catch {
    return []; // no pstore in this kernel
  }
}

function readStart(path: string, maxBytes: number): Buffer {
  const fd = openSync(path, "r");
  try {
    const { size } = fstatSync(fd);
    const buffer = Buffer.alloc(Math.min(size, maxBytes));
    return buffer.subarray(0, readSync(fd, buffer, 0, buffer.length, 0));
  } finally {
    closeSync(fd);
  }
}

/** A dump of a panic begins with `Panic#1 Part1`; an oops that the machine survived does not count. */
function findPanic(records: readonly CrashRecord[]): string | undefined {
  for (const { text } of records) {
    const message = /(Kernel panic - not syncing[^\n]{0,200})/.exec(text)?.[1];
    if (message !== undefined) return message.replace(/[\x00-\x1f\x7f]+/g, " ").trim();
    if (/^Panic#/.test(text)) return "Kernel panic";
  }
  return undefined;
}
