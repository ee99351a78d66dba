/**
 * Writes cpio archives in the "newc" format, which the kernel unpacks as an initramfs.
 * Linux, Documentation/driver-api/early-userspace/buffer-format.rst. The same entries give the same bytes.
 */

export interface CpioEntry {
  /** Relative to the root, without a leading slash. */
  path: string;
  type: "file" | "directory" | "symlink" | "char";
  /** Permission bits; default: 0755 for directories, 0777 for links, 0644 for others. */
  mode?: number;
  /** Bytes of a file. */
  content?: Buffer;
  /** Target of a symlink. */
  linkPath?: string;
  /** Numbers of a character device. */
  device?: { major: number; minor: number };
  /** Seconds since 1970; default 0. */
  mtimeSec?: number;
}

const TYPE_BITS = { file: 0o100000, directory: 0o040000, symlink: 0o120000, char: 0o020000 } as const;
const DEFAULT_MODE = { file: 0o644, directory: 0o755, symlink: 0o777, char: 0o644 } as const;
const TRAILER = "TRAILER!!!";
const FIELD_MAX = 0xffffffff;
const ALIGNMENT_BYTES = 4;

/** Returns the archive; all entries belong to root. Throws RangeError for an entry that the format cannot represent. */
export function formatCpio(entries: readonly CpioEntry[]): Buffer {
  const parts: Buffer[] = [];
  const seen = new Set<string>();
  entries.forEach((entry, index) => {
    checkPath(entry.path, seen);
    parts.push(...formatEntry(entry, index + 1));
  });
  parts.push(...formatRecord(TRAILER, { nlink: 1 }, Buffer.alloc(0)));
  return Buffer.concat(parts);
}

function checkPath(path: string, seen: Set<string>): void {
  const bad = path.split("/").some((part) => part === "" || part === "." || part === "..");
  if (bad || path.includes("\0"))
    throw new RangeError(`Cannot put "${path}" into a cpio archive: not a plain path`);
  if (seen.has(path)) throw new RangeError(`Cannot put "${path}" into a cpio archive: it is there already`);
  seen.add(path);
}

function formatEntry(entry: CpioEntry, inode: number): Buffer[] {
  const { path, type, content, linkPath = "", device } = entry;
  const data =
    type === "file" ? (content ?? Buffer.alloc(0)) : Buffer.from(type === "symlink" ? linkPath : "");
  const fields = {
    inode,
    mode: TYPE_BITS[type] | (entry.mode ?? DEFAULT_MODE[type]),
    nlink: type === "directory" ? 2 : 1,
    mtimeSec: entry.mtimeSec ?? 0,
    major: device?.major ?? 0,
    minor: device?.minor ?? 0,
  };
  return formatRecord(path, fields, data);
}

interface Fields {
  inode?: number;
  mode?: number;
  nlink: number;
  mtimeSec?: number;
  major?: number;
  minor?: number;
}

/** Magic, thirteen fields of eight hex digits, the name with its NUL, the data; name and data each padded to 4 bytes. */
function formatRecord(path: string, fields: Fields, data: Buffer): Buffer[] {
  const { inode = 0, mode = 0, nlink, mtimeSec = 0, major = 0, minor = 0 } = fields;
  const name = Buffer.from(`${path}\0`);
  const numbers = [inode, mode, 0, 0, nlink, mtimeSec, data.length, 0, 0, major, minor, name.length, 0];
  const tooLarge = numbers.find((value) => !(Number.isInteger(value) && value >= 0 && value <= FIELD_MAX));
  if (tooLarge !== undefined)
    throw new RangeError(`Cannot put "${path}" into a cpio archive: ${tooLarge} does not fit`);
  const digits = numbers.map((value) => value.toString(16).padStart(8, "0")).join("");
  const head = Buffer.concat([Buffer.from(`070701${digits}`), name]);
  return [head, padding(head.length), data, padding(data.length)];
}

function padding(length: number): Buffer {
  return Buffer.alloc((ALIGNMENT_BYTES - (length % ALIGNMENT_BYTES)) % ALIGNMENT_BYTES);
}
