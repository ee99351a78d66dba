/**
 * Writes extended attributes in the EROFS format (xattr ibody, shared xattrs, name filter) as mkcomposefs does.
 */
import { type ErofsImageBuffer, XATTR_ENTRY_HEADER_BYTES, XATTR_IBODY_HEADER_BYTES } from "./erofs-format.ts";
import { FSVERITY_SHA256 } from "./fsverity.ts";

/** mkcomposefs shares at most this many xattrs of one inode; the count on disk is one byte. */
const MAX_SHARED_PER_INODE = 128;
const NAME_FILTER_SEED = 0x25bbe08f;
const NOT_SHARED = -1;

/** A known prefix becomes an index byte; other names stay whole and have index 0. */
const PREFIXES: readonly (readonly [prefix: string, index: number])[] = [
  ["user.", 1],
  ["system.posix_acl_access", 2],
  ["system.posix_acl_default", 3],
  ["trusted.", 4],
  ["security.", 6],
];

/**
 * How a value is made from its string: `raw` as it is, `verity` a struct ovl_metacopy with a hex digest (empty for ""),
 * `path` with a slash in front. So the digests and paths of 100,000 objects are not copied. In each form, the strings
 * sort as the bytes do.
 */
export type ValueForm = "raw" | "verity" | "path";

/** struct ovl_metacopy: version 0, the length of the whole, flags 0, the digest's algorithm. */
const METACOPY_BYTES = 4 + 32;
const METACOPY_HEADER = String.fromCharCode(0, METACOPY_BYTES, 0, FSVERITY_SHA256);

export interface XattrName {
  readonly key: string;
  readonly suffix: string;
  readonly prefixIndex: number;
  readonly filterBit: number;
  readonly form: ValueForm;
  /** How often each value is used; after `placeShared`, the offsets of the shared ones in their table. */
  uses: Map<string, number>;
}

/** The xattrs of one inode in key order; reused for all inodes, to make no garbage. */
export class XattrList {
  readonly names: XattrName[] = [];
  readonly values: string[] = [];
  /** The arrays may be longer. */
  length = 0;

  clear(): void {
    this.length = 0;
  }

  /** Inserts in key order; a value already there is replaced. */
  set(name: XattrName, value: string): void {
    let index = this.length;
    while (index > 0 && this.names[index - 1]!.key > name.key) index--;
    if (index > 0 && this.names[index - 1] === name) {
      this.values[index - 1] = value;
      return;
    }
    for (let moved = this.length; moved > index; moved--) {
      this.names[moved] = this.names[moved - 1]!;
      this.values[moved] = this.values[moved - 1]!;
    }
    this.names[index] = name;
    this.values[index] = value;
    this.length++;
  }
}

/** Enough that few different values share a byte of the filter. */
const FILTER_BYTES_PER_VALUE = 8;
/** The ends of values differ more than their beginnings: values are digests, paths that end in one, labels. */
const HASHED_CHARACTERS = 8;
const SEEN_ONCE = 1;
const SEEN_AGAIN = 2;

export class XattrTable {
  readonly #names = new Map<string, XattrName>();
  /** By a value's hash, whether it was seen once or again. Nearly all values of 100,000 inodes are seen once. */
  readonly #filter: Uint8Array;
  readonly #shared: { name: XattrName; value: string }[] = [];
  sharedBytes = 0;

  constructor(inodeCount: number) {
    this.#filter = new Uint8Array(2 ** Math.ceil(Math.log2(FILTER_BYTES_PER_VALUE * (inodeCount + 1))));
  }

  findName(key: string, form: ValueForm = "raw"): XattrName {
    let name = this.#names.get(key);
    if (name === undefined) {
      name = describeName(key, form);
      this.#names.set(key, name);
    }
    return name;
  }

  /** The first pass over all inodes: which values may occur more than once. */
  note(list: XattrList): void {
    for (let index = 0; index < list.length; index++) {
      const slot = this.#hash(list.names[index]!, list.values[index]!);
      this.#filter[slot] = this.#filter[slot] === 0 ? SEEN_ONCE : SEEN_AGAIN;
    }
  }

  /** The second pass: counts those values. */
  count(list: XattrList): void {
    for (let index = 0; index < list.length; index++) {
      const name = list.names[index]!;
      const { uses } = name;
      const value = list.values[index]!;
      if (this.#filter[this.#hash(name, value)] !== SEEN_AGAIN) continue;
      uses.set(value, (uses.get(value) ?? 0) + 1);
    }
  }

  #hash({ suffix }: XattrName, value: string): number {
    let hash = Math.imul(suffix.length, 0x9e3779b1) ^ value.length;
    for (let index = Math.max(0, value.length - HASHED_CHARACTERS); index < value.length; index++) {
      hash = Math.imul(hash ^ value.charCodeAt(index), 0x01000193);
    }
    return (hash ^ (hash >>> 15)) & (this.#filter.length - 1);
  }

  /** Puts the pairs that occur more than once into the shared table, in descending order of key, value length, value. */
  placeShared(): void {
    for (const name of this.#names.values()) {
      const used = name.uses;
      name.uses = new Map();
      for (const [value, count] of used) if (count > 1) this.#shared.push({ name, value });
    }
    this.#shared.sort((left, right) => {
      if (left.name !== right.name) return left.name.key < right.name.key ? 1 : -1;
      if (left.value.length !== right.value.length) return right.value.length - left.value.length;
      return left.value < right.value ? 1 : -1;
    });
    for (const { name, value } of this.#shared) {
      name.uses.set(value, this.sharedBytes);
      this.sharedBytes += measureEntry(name, value);
    }
  }

  writeShared(image: ErofsImageBuffer, position: number): void {
    for (const { name, value } of this.#shared) position = writeEntry(image, position, name, value);
  }
}

function describeName(key: string, form: ValueForm): XattrName {
  const known = PREFIXES.find(([prefix]) => key.startsWith(prefix));
  const suffix = known === undefined ? key : key.slice(known[0].length);
  const prefixIndex = known?.[1] ?? 0;
  const filterBit = computeXxh32(suffix, NAME_FILTER_SEED + prefixIndex) & 31;
  return { key, suffix, prefixIndex, filterBit, form, uses: new Map() };
}

/** Bytes of an inode's xattr area, 0 without xattrs. */
export function measureXattrArea(list: XattrList): number {
  if (list.length === 0) return 0;
  let sharedCount = 0;
  let inlineBytes = 0;
  for (let index = 0; index < list.length; index++) {
    const name = list.names[index]!;
    const value = list.values[index]!;
    if (sharedCount < MAX_SHARED_PER_INODE && name.uses.has(value)) sharedCount++;
    else inlineBytes += measureEntry(name, value);
  }
  return XATTR_IBODY_HEADER_BYTES + 4 * sharedCount + inlineBytes;
}

/** Writes an inode's xattr area; `sharedBase` is the shared table's offset inside its first block. */
export function writeXattrArea(
  image: ErofsImageBuffer,
  position: number,
  list: XattrList,
  sharedBase: number,
): void {
  const { names, values } = list;
  let filter = 0;
  let sharedCount = 0;
  let at = position + XATTR_IBODY_HEADER_BYTES;
  for (let index = 0; index < list.length; index++) {
    filter |= 1 << names[index]!.filterBit;
    const offset = names[index]!.uses.get(values[index]!) ?? NOT_SHARED;
    if (offset === NOT_SHARED || sharedCount === MAX_SHARED_PER_INODE) continue;
    image.view.setUint32(at, (sharedBase + offset) / 4, true);
    at += 4;
    sharedCount++;
  }
  image.view.setUint32(position, ~filter >>> 0, true);
  image.view.setUint8(position + 4, sharedCount);
  let sharedLeft = sharedCount;
  for (let index = 0; index < list.length; index++) {
    if (sharedLeft > 0 && names[index]!.uses.has(values[index]!)) sharedLeft--;
    else at = writeEntry(image, at, names[index]!, values[index]!);
  }
}

function measureValue(form: ValueForm, value: string): number {
  if (form === "raw") return value.length;
  if (form === "path") return value.length + 1;
  return value === "" ? 0 : METACOPY_BYTES;
}

function measureEntry(name: XattrName, value: string): number {
  return (XATTR_ENTRY_HEADER_BYTES + name.suffix.length + measureValue(name.form, value) + 3) & ~3;
}

function writeEntry(image: ErofsImageBuffer, position: number, name: XattrName, value: string): number {
  const { view } = image;
  const { suffix, form } = name;
  view.setUint8(position, suffix.length);
  view.setUint8(position + 1, name.prefixIndex);
  view.setUint16(position + 2, measureValue(form, value), true);
  const at = position + XATTR_ENTRY_HEADER_BYTES;
  image.writeBytes(at, suffix);
  writeValue(image, at + suffix.length, form, value);
  return position + measureEntry(name, value);
}

function writeValue(image: ErofsImageBuffer, position: number, form: ValueForm, value: string): void {
  if (form === "raw") {
    image.writeBytes(position, value);
  } else if (form === "path") {
    image.writeBytes(position, "/");
    image.writeBytes(position + 1, value);
  } else if (value !== "") {
    image.writeBytes(position, METACOPY_HEADER);
    image.bytes.write(value, position + METACOPY_HEADER.length, "hex");
  }
}

/**
 * XXH32 of a latin1 string, one character per byte, by the xxHash specification. EROFS's xattr name filter uses it.
 */

const PRIME_1 = 0x9e3779b1;
const PRIME_2 = 0x85ebca77;
const PRIME_3 = 0xc2b2ae3d;
const PRIME_4 = 0x27d4eb2f;
const PRIME_5 = 0x165667b1;

const rotateLeft = (value: number, bits: number) => (value << bits) | (value >>> (32 - bits));

function readWord(bytes: string, at: number): number {
  return (
    bytes.charCodeAt(at) |
    (bytes.charCodeAt(at + 1) << 8) |
    (bytes.charCodeAt(at + 2) << 16) |
    (bytes.charCodeAt(at + 3) << 24)
  );
}

const mixLane = (lane: number, word: number) =>
  Math.imul(rotateLeft((lane + Math.imul(word, PRIME_2)) | 0, 13), PRIME_1);

function computeXxh32(bytes: string, seed: number): number {
  let at = 0;
  let sum: number;
  if (bytes.length >= 16) {
    let lane1 = (seed + PRIME_1 + PRIME_2) | 0;
    let lane2 = (seed + PRIME_2) | 0;
    let lane3 = seed | 0;
    let lane4 = (seed - PRIME_1) | 0;
    for (; at + 16 <= bytes.length; at += 16) {
      lane1 = mixLane(lane1, readWord(bytes, at));
      lane2 = mixLane(lane2, readWord(bytes, at + 4));
      lane3 = mixLane(lane3, readWord(bytes, at + 8));
      lane4 = mixLane(lane4, readWord(bytes, at + 12));
    }
    sum = (rotateLeft(lane1, 1) + rotateLeft(lane2, 7) + rotateLeft(lane3, 12) + rotateLeft(lane4, 18)) | 0;
  } else {
    sum = (seed + PRIME_5) | 0;
  }
  sum = (sum + bytes.length) | 0;
  for (; at + 4 <= bytes.length; at += 4) {
    sum = Math.imul(rotateLeft((sum + Math.imul(readWord(bytes, at), PRIME_3)) | 0, 17), PRIME_4);
  }
  for (; at < bytes.length; at++) {
    sum = Math.imul(rotateLeft((sum + Math.imul(bytes.charCodeAt(at), PRIME_5)) | 0, 11), PRIME_1);
  }
  sum = Math.imul(sum ^ (sum >>> 15), PRIME_2);
  sum = Math.imul(sum ^ (sum >>> 13), PRIME_3);
  return (sum ^ (sum >>> 16)) >>> 0;
}
