/**
 * The file tree that an image is made from. Names, symlink targets, object paths and xattr names are latin1 strings, one
 * character per byte, so that no byte is lost.
 */

export const S_IFMT = 0o170000;
export const S_IFSOCK = 0o140000;
export const S_IFLNK = 0o120000;
export const S_IFREG = 0o100000;
export const S_IFBLK = 0o060000;
export const S_IFDIR = 0o040000;
export const S_IFCHR = 0o020000;
export const S_IFIFO = 0o010000;

/** One inode. A node with several names is a hard link; a directory has one name. */
export interface TreeNode {
  /** st_mode: file type and permission bits. */
  mode: number;
  uid: number;
  gid: number;
  /** Of a regular file. Other types may have any size, which only affects the inode's form. */
  sizeBytes: number;
  /** A bigint only beyond the safe integers. */
  mtimeSec: number | bigint;
  mtimeNsec: number;
  /** Link count of a non-directory in a dump; by default, the number of its names. */
  nlink?: number | undefined;
  /** The kernel's 32-bit device number, see `makeDevice`. */
  rdev: number;
  /** Symlink: its target. Regular file: the object's path under the objects directory, `ab/cdef…`. */
  payload: string | undefined;
  /** The whole content of a small regular file, which is in the image itself. */
  content: Buffer | undefined;
  /** fs-verity digest of an external file, 64 lower-case hex digits. */
  verityDigest: string | undefined;
  xattrs?: Map<string, Buffer> | undefined;
  /** Only of directories. */
  children?: Map<string, TreeNode> | undefined;
  /** The name of a hard link that decides its inode number; by default, the first in sorted depth-first order. */
  home?: TreeHome | undefined;
}

export interface TreeHome {
  directory: TreeNode;
  name: string;
}

/** Unset fields are zero or undefined; all nodes have the same shape, which V8 handles faster. */
export function createNode(mode: number, fields: Partial<TreeNode> = {}): TreeNode {
  return {
    mode,
    uid: fields.uid ?? 0,
    gid: fields.gid ?? 0,
    sizeBytes: fields.sizeBytes ?? 0,
    mtimeSec: normalizeSeconds(fields.mtimeSec ?? 0),
    mtimeNsec: fields.mtimeNsec ?? 0,
    nlink: fields.nlink,
    rdev: fields.rdev ?? 0,
    payload: fields.payload,
    content: fields.content,
    verityDigest: fields.verityDigest,
    xattrs: fields.xattrs,
    children: (mode & S_IFMT) === S_IFDIR ? (fields.children ?? new Map()) : undefined,
    home: fields.home,
  };
}

export function isDirectory(node: TreeNode): boolean {
  return (node.mode & S_IFMT) === S_IFDIR;
}

/** A whiteout is a character device 0:0, as in overlayfs. */
export function isWhiteout(node: TreeNode): boolean {
  return (node.mode & S_IFMT) === S_IFCHR && node.rdev === 0;
}

/** The kernel's new_encode_dev: 12 bits of major, 20 bits of minor. */
export function makeDevice(major: number, minor: number): number {
  return ((minor & 0xff) | (major << 8) | ((minor & ~0xff) << 12)) >>> 0;
}

/** A number wherever it is exact, so that equal times compare equal. */
export function normalizeSeconds(seconds: number | bigint): number | bigint {
  if (typeof seconds === "number") return seconds;
  const asNumber = Number(seconds);
  return Number.isSafeInteger(asNumber) ? asNumber : seconds;
}
