/**
 * A small EROFS reader for tests, written from the kernel's on-disk format and from nothing of the writer.
 * It gives back what a kernel would see: paths, modes, xattrs, targets, contents.
 */

export interface ReadInode {
  nid: number;
  mode: number;
  uid: number;
  gid: number;
  nlink: number;
  size: bigint;
  mtimeSec: bigint;
  mtimeNsec: number;
  rdev: number;
  layout: number;
  xattrs: Map<string, Buffer>;
  /** Inline and block data; of external files nothing. */
  data: Buffer | undefined;
}

const BLOCK = 4096;
const PREFIXES: Record<number, string> = {
  0: "",
  1: "user.",
  2: "system.posix_acl_access",
  3: "system.posix_acl_default",
  4: "trusted.",
  6: "security.",
};

export class ErofsReader {
  readonly #image: Buffer;
  readonly rootNid: number;
  readonly inodeCount: number;
  readonly #sharedStart: number;

  constructor(image: Buffer) {
    this.#image = image;
    const at = 1024;
    if (image.readUInt32LE(at) !== 0xe0f5e1e2) throw new Error("no EROFS magic");
    if (image[at + 12] !== 12) throw new Error("blocks are not 4 KiB");
    if (image.readUInt32LE(at + 36) * BLOCK !== image.length)
      throw new Error("size is not that of the superblock");
    this.rootNid = image.readUInt16LE(at + 14);
    this.inodeCount = Number(image.readBigUInt64LE(at + 16));
    this.#sharedStart = image.readUInt32LE(at + 44) * BLOCK;
  }

  readInode(nid: number): ReadInode {
    const image = this.#image;
    const at = nid * 32;
    const format = image.readUInt16LE(at);
    const isExtended = (format & 1) === 1;
    const layout = (format >> 1) & 7;
    const mode = image.readUInt16LE(at + 4);
    const size = isExtended ? image.readBigUInt64LE(at + 8) : BigInt(image.readUInt32LE(at + 8));
    const address = image.readUInt32LE(at + 16);
    const headBytes = isExtended ? 64 : 32;
    const xattrWords = image.readUInt16LE(at + 2);
    const xattrBytes = xattrWords === 0 ? 0 : 12 + 4 * (xattrWords - 1);
    const isDevice = [0o20000, 0o60000].includes(mode & 0o170000);
    return {
      nid,
      mode,
      size,
      layout,
      uid: isExtended ? image.readUInt32LE(at + 24) : image.readUInt16LE(at + 24),
      gid: isExtended ? image.readUInt32LE(at + 28) : image.readUInt16LE(at + 26),
      nlink: isExtended ? image.readUInt32LE(at + 44) : image.readUInt16LE(at + 6),
      mtimeSec: image.readBigInt64LE(isExtended ? at + 32 : 1024 + 24),
      mtimeNsec: image.readUInt32LE(isExtended ? at + 40 : 1024 + 32),
      rdev: isDevice ? address : 0,
      xattrs: xattrBytes === 0 ? new Map() : this.#readXattrs(at + headBytes, xattrBytes),
      data: this.#readData(layout, Number(size), address, at + headBytes + xattrBytes),
    };
  }

  #readData(layout: number, size: number, firstBlock: number, tailAt: number): Buffer | undefined {
    if (layout === 4) return undefined;
    const blockBytes = layout === 2 ? Math.floor(size / BLOCK) * BLOCK : size;
    const blocks = this.#image.subarray(firstBlock * BLOCK, firstBlock * BLOCK + blockBytes);
    const tailBytes = size - blockBytes;
    if (tailBytes > 0 && Math.floor(tailAt / BLOCK) !== Math.floor((tailAt + tailBytes - 1) / BLOCK)) {
      throw new Error("a tail crosses a block");
    }
    return Buffer.concat([blocks, this.#image.subarray(tailAt, tailAt + tailBytes)]);
  }

  #readXattrs(at: number, bytes: number): Map<string, Buffer> {
    const xattrs = new Map<string, Buffer>();
    const sharedCount = this.#image[at + 4]!;
    for (let index = 0; index < sharedCount; index++) {
      this.#readXattr(this.#sharedStart + 4 * this.#image.readUInt32LE(at + 12 + 4 * index), xattrs);
    }
    for (let next = at + 12 + 4 * sharedCount; next < at + bytes; ) next = this.#readXattr(next, xattrs);
    return xattrs;
  }

  #readXattr(at: number, xattrs: Map<string, Buffer>): number {
    const nameBytes = this.#image[at]!;
    const prefix = PREFIXES[this.#image[at + 1]!];
    const valueBytes = this.#image.readUInt16LE(at + 2);
    if (prefix === undefined) throw new Error("an xattr of an unknown prefix");
    const key = prefix + this.#image.toString("latin1", at + 4, at + 4 + nameBytes);
    if (xattrs.has(key)) throw new Error(`the xattr ${key} stands there twice`);
    const valueAt = at + 4 + nameBytes;
    xattrs.set(key, this.#image.subarray(valueAt, valueAt + valueBytes));
    return Math.ceil((valueAt + valueBytes) / 4) * 4;
  }

  /** Name, nid and type of each entry, in order. */
  readDirectory(inode: ReadInode): { name: string; nid: number; type: number }[] {
    const entries: { name: string; nid: number; type: number }[] = [];
    const { data } = inode;
    for (let start = 0; start < data!.length; start += BLOCK) {
      const block = data!.subarray(start, start + BLOCK);
      const count = block.readUInt16LE(8) / 12;
      for (let index = 0; index < count; index++) {
        const nameAt = block.readUInt16LE(index * 12 + 8);
        const isLast = index + 1 === count;
        const rest = block.toString(
          "latin1",
          nameAt,
          isLast ? block.length : block.readUInt16LE(index * 12 + 20),
        );
        const name = isLast && rest.includes("\0") ? rest.slice(0, rest.indexOf("\0")) : rest;
        entries.push({ name, nid: Number(block.readBigUInt64LE(index * 12)), type: block[index * 12 + 10]! });
      }
    }
    return entries;
  }

  /** How the kernel finds a name: blocks, then entries, by binary search on bytes. Only that names are sorted matters. */
  walk(visit: (path: string, inode: ReadInode) => void): void {
    const step = (path: string, inode: ReadInode): void => {
      visit(path, inode);
      if ((inode.mode & 0o170000) !== 0o40000) return;
      const entries = this.readDirectory(inode);
      for (let index = 1; index < entries.length; index++) {
        if (entries[index - 1]!.name >= entries[index]!.name)
          throw new Error(`names are not sorted in ${path}`);
      }
      for (const { name, nid } of entries) {
        if (name !== "." && name !== "..")
          step(path === "/" ? `/${name}` : `${path}/${name}`, this.readInode(nid));
      }
    };
    step("/", this.readInode(this.rootNid));
  }
}
