/**
 * Reads a composefs-dump text into a file tree; every line is checked, and an error names it.
 * Follows composefs-dump(5) and mkcomposefs, but takes no number, digest or path that those would silently bend.
 */

import {
  findNameFault,
  findNodeFault,
  hasKnownType,
  SYMLINK_MAX_BYTES,
} from "../../agent/composefs/check-tree.ts";
import {
  createNode,
  normalizeSeconds,
  S_IFBLK,
  S_IFCHR,
  S_IFDIR,
  S_IFMT,
  type TreeNode,
} from "../../agent/composefs/file-tree.ts";
import { AgentError, type ErrorCode } from "../../agent/errors.ts";
import { TREE_MAX_DEPTH } from "../../agent/limits.ts";
import { unescapeField } from "./dump-escape.ts";
import { DUMP_MAX_BYTES, DUMP_XATTRS_MAX_BYTES } from "./limits.ts";

const FIELD_NAMES = [
  "PATH",
  "SIZE",
  "MODE",
  "NLINK",
  "UID",
  "GID",
  "RDEV",
  "MTIME",
  "PAYLOAD",
  "CONTENT",
  "DIGEST",
] as const;
const PAYLOAD = FIELD_NAMES.indexOf("PAYLOAD");
const UINT32_MAX = 0xffffffff;
const UINT64_LIMIT = 2n ** 64n;
const INT64_MIN = -(2n ** 63n);

interface Alias {
  lineNumber: number;
  directory: TreeNode;
  name: string;
  targetPath: string;
}

/** The tree of a dump. Throws COMPOSEFS_DUMP_… with the line's number in message and context. */
export function parseDump(dump: Uint8Array): TreeNode {
  if (dump.length > DUMP_MAX_BYTES) {
    throw new AgentError("COMPOSEFS_DUMP_TOO_LARGE", `Cannot read a dump of ${dump.length} bytes`, {
      context: { sizeBytes: dump.length, maxBytes: DUMP_MAX_BYTES },
    });
  }
  return new DumpReader().read(Buffer.from(dump.buffer, dump.byteOffset, dump.length).toString("latin1"));
}

class DumpReader {
  #lineNumber = 0;
  #root: TreeNode | undefined;
  readonly #directories = new Map<string, TreeNode>();
  readonly #aliases = new Map<TreeNode, Alias>();

  read(text: string): TreeNode {
    for (let from = 0; from < text.length; ) {
      const newline = text.indexOf("\n", from);
      const end = newline < 0 ? text.length : newline;
      this.#lineNumber++;
      this.#readLine(text.slice(from, end));
      from = end + 1;
    }
    if (this.#root === undefined) throw this.#fault("COMPOSEFS_DUMP_PATH", "the dump has no line for /");
    for (const alias of this.#aliases.values()) this.#linkAlias(alias);
    return this.#root;
  }

  #readLine(line: string): void {
    if (line.includes("\0")) throw this.#fault("COMPOSEFS_DUMP_FIELD", "a NUL byte stands in it");
    const fields = line.split(" ", FIELD_NAMES.length);
    const path = this.#unescape(fields[0]!, "PATH");
    const modeField = fields[2] ?? "";
    const isAlias = modeField.startsWith("@");
    const mode = this.#parseMode(isAlias ? modeField.slice(1) : modeField);
    if (fields.length < (isAlias ? PAYLOAD + 1 : FIELD_NAMES.length)) {
      throw this.#fault("COMPOSEFS_DUMP_FIELD", `${FIELD_NAMES[fields.length]} is missing`);
    }
    if (isAlias) {
      this.#addAlias(path, mode, fields[PAYLOAD]!);
      return;
    }
    const node = this.#parseNode(mode, fields);
    const restStart = fields.reduce((length, field) => length + field.length + 1, 0);
    if (restStart < line.length) node.xattrs = this.#parseXattrs(line.slice(restStart));
    const fault = findNodeFault(node);
    if (fault !== undefined) throw this.#fault("COMPOSEFS_DUMP_FIELD", fault);
    this.#insert(path, node);
  }

  #parseNode(mode: number, fields: readonly string[]): TreeNode {
    const type = mode & S_IFMT;
    const sizeBytes = Number(this.#parseInteger(fields[1]!, "SIZE", UINT64_LIMIT));
    const nlink = this.#parseUint32(fields[3]!, "NLINK");
    const uid = this.#parseUint32(fields[4]!, "UID");
    const gid = this.#parseUint32(fields[5]!, "GID");
    const rdev = this.#parseUint32(fields[6]!, "RDEV");
    const { mtimeSec, mtimeNsec } = this.#parseMtime(fields[7]!);
    const payload = this.#parseOptional(fields[8]!, "PAYLOAD");
    const content = this.#parseOptional(fields[9]!, "CONTENT");
    const verityDigest = this.#parseOptional(fields[10]!, "DIGEST");
    if (payload !== undefined && (payload.length > SYMLINK_MAX_BYTES || payload.includes("\0"))) {
      throw this.#fault("COMPOSEFS_DUMP_FIELD", `PAYLOAD has a NUL or more than ${SYMLINK_MAX_BYTES} bytes`);
    }
    if (content !== undefined && content.length !== sizeBytes) {
      throw this.#fault("COMPOSEFS_DUMP_FIELD", `SIZE is ${sizeBytes}, CONTENT has ${content.length} bytes`);
    }
    if (verityDigest !== undefined && !/^[0-9a-fA-F]{64}$/.test(verityDigest)) {
      throw this.#fault("COMPOSEFS_DUMP_FIELD", "DIGEST is not 64 hex digits");
    }
    return createNode(mode, {
      sizeBytes,
      nlink,
      uid,
      gid,
      rdev: type === S_IFCHR || type === S_IFBLK ? rdev : 0,
      mtimeSec,
      mtimeNsec,
      payload,
      content: content ? Buffer.from(content, "latin1") : undefined,
      verityDigest: verityDigest?.toLowerCase(),
    });
  }

  #addAlias(path: string, mode: number, payload: string): void {
    if ((mode & S_IFMT) === S_IFDIR)
      throw this.#fault("COMPOSEFS_DUMP_HARDLINK", "a directory is a hard link");
    const targetPath = this.#parseOptional(payload, "PAYLOAD");
    if (!targetPath) throw this.#fault("COMPOSEFS_DUMP_HARDLINK", "the hard link has no target");
    const node = createNode(mode);
    const { directory, name } = this.#insert(path, node);
    this.#aliases.set(node, { lineNumber: this.#lineNumber, directory, name, targetPath });
  }

  #insert(path: string, node: TreeNode): { directory: TreeNode; name: string } {
    if (path === "/") {
      if (this.#root !== undefined) throw this.#fault("COMPOSEFS_DUMP_PATH", "there is a second line for /");
      if (node.children === undefined) throw this.#fault("COMPOSEFS_DUMP_PATH", "/ is not a directory");
      this.#root = node;
      this.#directories.set("", node);
      return { directory: node, name: "" };
    }
    if (this.#root === undefined) throw this.#fault("COMPOSEFS_DUMP_PATH", "the first line is not for /");
    const slash = path.lastIndexOf("/");
    if (!path.startsWith("/")) throw this.#fault("COMPOSEFS_DUMP_PATH", `"${path}" does not start with /`);
    if (path.length > TREE_MAX_DEPTH && path.split("/").length > TREE_MAX_DEPTH) {
      throw this.#fault("COMPOSEFS_DUMP_PATH", `the path has more than ${TREE_MAX_DEPTH} parts`);
    }
    const name = path.slice(slash + 1);
    const nameFault = findNameFault(name);
    if (nameFault !== undefined) throw this.#fault("COMPOSEFS_DUMP_PATH", nameFault);
    const directory = this.#directories.get(path.slice(0, slash));
    if (directory === undefined)
      throw this.#fault("COMPOSEFS_DUMP_PATH", `"${path}" has no directory to be in`);
    if (directory.children!.has(name))
      throw this.#fault("COMPOSEFS_DUMP_PATH", `"${path}" stands there twice`);
    directory.children!.set(name, node);
    if (node.children !== undefined) this.#directories.set(path, node);
    return { directory, name };
  }

  /** Targets may come later in the dump, and may be hard links themselves. */
  #linkAlias(alias: Alias): void {
    this.#lineNumber = alias.lineNumber;
    const steps = new Set<TreeNode>();
    for (let path = alias.targetPath; ; ) {
      const found = this.#findNode(path);
      if (found === undefined)
        throw this.#fault("COMPOSEFS_DUMP_HARDLINK", `its target "${path}" is not there`);
      const { node } = found;
      const next = this.#aliases.get(node);
      if (next === undefined) {
        if (node.children !== undefined)
          throw this.#fault("COMPOSEFS_DUMP_HARDLINK", "its target is a directory");
        node.home ??= { directory: found.directory, name: found.name };
        alias.directory.children!.set(alias.name, node);
        return;
      }
      if (steps.has(node)) throw this.#fault("COMPOSEFS_DUMP_HARDLINK", "it links to itself");
      steps.add(node);
      path = next.targetPath;
    }
  }

  #findNode(path: string): { node: TreeNode; directory: TreeNode; name: string } | undefined {
    const slash = path.lastIndexOf("/");
    const name = path.slice(slash + 1);
    if (name === "") return path === "/" ? { node: this.#root!, directory: this.#root!, name } : undefined;
    const parentPath = slash < 0 ? "" : path.slice(0, slash);
    const absolutePath = parentPath === "" || parentPath.startsWith("/") ? parentPath : `/${parentPath}`;
    const directory = this.#directories.get(absolutePath);
    const node = directory?.children?.get(name);
    return node === undefined ? undefined : { node, directory: directory!, name };
  }

  #parseXattrs(text: string): Map<string, Buffer> {
    if (text.length > DUMP_XATTRS_MAX_BYTES) {
      throw this.#fault("COMPOSEFS_DUMP_FIELD", `${text.length} bytes of xattrs`);
    }
    const xattrs = new Map<string, Buffer>();
    const pairs = text.split(" ");
    if (pairs.at(-1) === "") pairs.pop();
    for (const pair of pairs) {
      const equals = pair.indexOf("=");
      if (equals < 0) throw this.#fault("COMPOSEFS_DUMP_FIELD", "an xattr has no =");
      const key = this.#unescape(pair.slice(0, equals), "an xattr's name");
      xattrs.set(key, Buffer.from(this.#unescape(pair.slice(equals + 1), "an xattr's value"), "latin1"));
    }
    return xattrs;
  }

  /** Bits above the sixteen of st_mode are dropped, as mkcomposefs does (upstream's honggfuzz-longlink asset has some). */
  #parseMode(text: string): number {
    if (!/^[0-7]{1,11}$/.test(text))
      throw this.#fault("COMPOSEFS_DUMP_FIELD", `MODE is "${text}", not octal`);
    const mode = Number.parseInt(text, 8);
    if (mode > UINT32_MAX || !hasKnownType(mode & 0xffff)) {
      throw this.#fault("COMPOSEFS_DUMP_FIELD", `MODE ${text} has no file type`);
    }
    return mode & 0xffff;
  }

  /** Nanoseconds are an integer, not a fraction; seconds above the signed range are negative ones. */
  #parseMtime(text: string): { mtimeSec: number | bigint; mtimeNsec: number } {
    const dot = text.indexOf(".");
    if (dot < 0) throw this.#fault("COMPOSEFS_DUMP_FIELD", `MTIME is "${text}", not SECONDS.NANOSECONDS`);
    const seconds = text.slice(0, dot);
    const isNegative = seconds.startsWith("-");
    const limit = isNegative ? 1n - INT64_MIN : UINT64_LIMIT;
    const magnitude = this.#parseInteger(isNegative ? seconds.slice(1) : seconds, "MTIME", limit);
    const wrapped = BigInt.asIntN(64, isNegative ? -BigInt(magnitude) : BigInt(magnitude));
    return {
      mtimeSec: normalizeSeconds(wrapped),
      mtimeNsec: this.#parseUint32(text.slice(dot + 1), "MTIME"),
    };
  }

  #parseUint32(text: string, field: string): number {
    const value = this.#parseInteger(text, field, UINT64_LIMIT);
    if (value > UINT32_MAX)
      throw this.#fault("COMPOSEFS_DUMP_FIELD", `${field} is ${text}, more than 32 bits`);
    return Number(value);
  }

  #parseInteger(text: string, field: string, limit: bigint): number | bigint {
    if (!/^[0-9]+$/.test(text))
      throw this.#fault("COMPOSEFS_DUMP_FIELD", `${field} is "${text}", not a number`);
    if (text.length <= 15) return Number(text);
    const value = BigInt(text);
    if (value >= limit) throw this.#fault("COMPOSEFS_DUMP_FIELD", `${field} is too large, ${text}`);
    return value;
  }

  #parseOptional(text: string, field: string): string | undefined {
    return text === "-" ? undefined : this.#unescape(text, field);
  }

  #unescape(text: string, field: string): string {
    const bytes = unescapeField(text);
    if (typeof bytes === "string") return bytes;
    throw this.#fault("COMPOSEFS_DUMP_ESCAPE", `${field} has ${bytes.fault} at byte ${bytes.offset + 1}`);
  }

  #fault(code: ErrorCode, fault: string): AgentError {
    return new AgentError(code, `Cannot read line ${this.#lineNumber} of the dump: ${fault}`, {
      context: { line: this.#lineNumber },
    });
  }
}
