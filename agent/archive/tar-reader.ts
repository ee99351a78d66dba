/**
 * Reads a stream of a tar archive (ustar, pax, GNU, star, v7), for every use of archives. Where readers disagree, it does what
 * podman does (Go's archive/tar), and else what GNU tar does; what either would garble is refused.
 */
import { AgentError } from "../errors.ts";
import { XATTRS_MAX_BYTES } from "../limits.ts";
import {
  ARCHIVE_MAX_ENTRIES,
  ARCHIVE_MAX_NAME_BYTES,
  ARCHIVE_PATH_MAX_BYTES,
  TAR_HEADER_MAX_BYTES,
  TAR_HEADERS_PER_ENTRY,
} from "./limits.ts";
import { checkMemberPath } from "./member-path.ts";
import {
  BLOCK_BYTES,
  corruptTar,
  isChecksumRight,
  isZeroBlock,
  readDevice,
  readMember,
  readSize,
  readType,
} from "./tar-block.ts";
import { countXattrBytes, showPath, type TarEntryType, type TarMember } from "./tar-entry.ts";
import { applyPax, type PaxRecords, parsePaxRecords, SPARSE_MAP } from "./tar-pax.ts";
import { findPaxSparse, SparseMap } from "./tar-sparse.ts";

/** Called in the order of the archive; `write` throws what these throw. */
export interface TarVisitor {
  onEntry(entry: TarMember): void;
  /** A piece of the current file's content; the buffer is only valid during the call. */
  onContent(chunk: Buffer): void;
  /** Zeros in the current file that the archive does not have. */
  onHole(sizeBytes: number): void;
  /** After the content, and for every entry without content. */
  onEntryEnd(): void;
  /** Everything that is not content: headers, padding, the end. */
  onLiteral?(bytes: Buffer): void;
}

export interface TarLimits {
  maxEntries?: number;
  maxHeaderBytes?: number;
  maxNameBytes?: number;
  /** Called before holes are passed on, with the size of all so far; throws if the archive expands too far. */
  checkHoles?: (holeBytes: number) => void;
}

const TYPES: Readonly<Record<string, TarEntryType>> = {
  "0": "file",
  "\0": "file",
  "1": "hardlink",
  "2": "symlink",
  "3": "char",
  "4": "block",
  "5": "directory",
  "6": "fifo",
  "7": "file",
  // GNU: a sparse file, and a directory with a list of its files, which is ignored.
  S: "file",
  D: "directory",
};
/** Extended headers; X is Solaris's pax. Global ones (g) are ignored, as by podman, which names no file by them. */
const EXTENSIONS = "xXgLK";
const VOLUME_LABEL = "V";
const DUMP_DIRECTORY = "D";
const GNU_SPARSE = "S";
/** The kernel's: 12 and 20 bits. */
const DEVICE_MAX_MAJOR = 0xfff;
const DEVICE_MAX_MINOR = 0xfffff;
/** uid_t has 32 bits; the kernel takes the largest as "unchanged". */
const ID_RANGE = 2 ** 32;
const NUL = "\0";

type State =
  /** A header block, a block with more of a sparse map, and a block of a map at the start of the content. */
  | "header"
  | "sparse extension"
  | "sparse map"
  /** The body of an extended header. */
  | "extension"
  | "content"
  /** A body that is ignored. */
  | "skipped content"
  | "padding"
  | "end";

export class TarReader {
  readonly #visitor: TarVisitor;
  readonly #limits: Required<TarLimits>;
  #state: State = "header";
  /** A block that arrives in pieces. */
  readonly #block = Buffer.allocUnsafe(BLOCK_BYTES);
  #blockBytes = 0;
  /** Bytes left of what the state names; of a content, up to the next hole. */
  #leftBytes = 0;
  #paddingBytes = 0;
  #zeroBlocks = 0;
  #entries = 0;
  #nameBytes = 0;
  #holeBytes = 0;

  /** Extended headers of the next member. */
  #extension: { type: string; parts: Buffer[] } | undefined;
  #headers = 0;
  #headerBytes = 0;
  #pax: PaxRecords | undefined;
  #longName = "";
  #longLinkName = "";

  #member: TarMember | undefined;
  #map: SparseMap | undefined;
  /** Bytes of the member in the archive. */
  #dataBytes = 0;
  #region = 0;
  /** Position in the file. */
  #position = 0;

  constructor(visitor: TarVisitor, limits: TarLimits = {}) {
    this.#visitor = visitor;
    this.#limits = {
      maxEntries: ARCHIVE_MAX_ENTRIES,
      maxHeaderBytes: TAR_HEADER_MAX_BYTES,
      maxNameBytes: ARCHIVE_MAX_NAME_BYTES,
      checkHoles: () => {},
      ...limits,
    };
  }

  /** Reads the chunk synchronously and keeps no reference to it. Throws ARCHIVE_… and what the visitor throws. */
  write(chunk: Buffer): void {
    for (let at = 0; at < chunk.length; ) {
      if (this.#state === "end") {
        this.#visitor.onLiteral?.(chunk.subarray(at));
        return;
      }
      const isBlock =
        this.#state === "header" || this.#state === "sparse extension" || this.#state === "sparse map";
      at += isBlock ? this.#takeBlock(chunk, at) : this.#takeBody(chunk, at);
    }
  }

  /**
   * To be called after the last byte. As for podman and GNU tar, end blocks, the last padding and the member of an extended
   * header may be missing. Throws ARCHIVE_TRUNCATED.
   */
  end(): void {
    const isPartial = this.#blockBytes > 0 && !isZeroBlock(this.#block.fill(0, this.#blockBytes), 0);
    if (this.#state === "end" || this.#state === "padding" || (this.#state === "header" && !isPartial))
      return;
    throw new AgentError(
      "ARCHIVE_TRUNCATED",
      `Cannot read the tar archive: it is truncated in a ${this.#state} after ${this.#entries} members`,
    );
  }

  /** The content of the current member is next. */
  get awaitsContent(): boolean {
    return this.#state === "content";
  }

  /** Continues after the current member's content, which the caller does not write. */
  skipContent(): void {
    this.#endContent();
  }

  /** A whole block is read in place. */
  #takeBlock(chunk: Buffer, at: number): number {
    const taken = Math.min(BLOCK_BYTES - this.#blockBytes, chunk.length - at);
    this.#visitor.onLiteral?.(chunk.subarray(at, at + taken));
    if (taken === BLOCK_BYTES) this.#readBlock(chunk, at);
    else {
      chunk.copy(this.#block, this.#blockBytes, at, at + taken);
      this.#blockBytes += taken;
      if (this.#blockBytes === BLOCK_BYTES) {
        this.#blockBytes = 0;
        this.#readBlock(this.#block, 0);
      }
    }
    return taken;
  }

  #takeBody(chunk: Buffer, at: number): number {
    const taken = Math.min(this.#leftBytes, chunk.length - at);
    const bytes = chunk.subarray(at, at + taken);
    this.#leftBytes -= taken;
    if (this.#state === "content") {
      this.#position += taken;
      this.#visitor.onContent(bytes);
      if (this.#leftBytes === 0) this.#startRegion();
      return taken;
    }
    this.#visitor.onLiteral?.(bytes);
    if (this.#state === "extension") this.#extension!.parts.push(Buffer.from(bytes));
    if (this.#leftBytes > 0) return taken;
    if (this.#state === "extension") this.#endExtension();
    else if (this.#state === "skipped content") this.#startPadding();
    else this.#state = "header";
    return taken;
  }

  #readBlock(block: Buffer, at: number): void {
    if (this.#state === "header") this.#readHeader(block, at);
    else {
      this.#countHeaderBytes(BLOCK_BYTES);
      if (this.#state === "sparse extension") {
        if (!this.#map!.readExtension(block, at)) this.#startContent();
      } else {
        this.#dataBytes -= BLOCK_BYTES;
        if (this.#dataBytes < 0) throw corruptTar(`${this.#shown} ends in its sparse map`);
        if (!this.#map!.readText(block, at)) this.#startContent();
      }
    }
  }

  #readHeader(block: Buffer, at: number): void {
    if (isZeroBlock(block, at)) {
      this.#forgetHeaders();
      if (++this.#zeroBlocks === 2) this.#state = "end";
      return;
    }
    if (this.#zeroBlocks > 0) throw corruptTar("a header follows an end mark");
    this.#checkSum(block, at);
    const type = readType(block, at);
    if (EXTENSIONS.includes(type)) this.#startExtension(type, readSize(block, at));
    else if (type === VOLUME_LABEL) this.#skip(readSize(block, at));
    else this.#startMember(type, block, at);
  }

  #checkSum(block: Buffer, at: number): void {
    const isFirst = this.#entries === 0 && this.#headers === 0;
    let isRight = false;
    try {
      isRight = isChecksumRight(block, at);
    } catch (error) {
      if (!isFirst) throw error;
    }
    if (isRight) return;
    if (!isFirst) throw corruptTar(`a header's checksum is wrong, after ${this.#entries} members`);
    const message = "Cannot read the archive: it does not begin with a tar header";
    throw new AgentError("ARCHIVE_UNKNOWN_FORMAT", message);
  }

  #startExtension(type: string, sizeBytes: number): void {
    if (++this.#headers > TAR_HEADERS_PER_ENTRY)
      throw overLimit(`more than ${TAR_HEADERS_PER_ENTRY} headers`);
    this.#countHeaderBytes(sizeBytes);
    this.#extension = { type, parts: [] };
    this.#paddingBytes = paddingOf(sizeBytes);
    this.#leftBytes = sizeBytes;
    this.#state = "extension";
    if (sizeBytes === 0) this.#endExtension();
  }

  #countHeaderBytes(sizeBytes: number): void {
    const { maxHeaderBytes } = this.#limits;
    this.#headerBytes += sizeBytes;
    if (this.#headerBytes > maxHeaderBytes) throw overLimit(`more than ${maxHeaderBytes} bytes of headers`);
  }

  #endExtension(): void {
    const { type, parts } = this.#extension!;
    const bytes = parts.length === 1 ? parts[0]! : Buffer.concat(parts);
    this.#extension = undefined;
    const text = () => bytes.toString("latin1", 0, bytes.indexOf(0) < 0 ? bytes.length : bytes.indexOf(0));
    if (type === "L") this.#longName = text();
    else if (type === "K") this.#longLinkName = text();
    else {
      const records = parsePaxRecords(bytes);
      if (type === "g") this.#forgetHeaders();
      else this.#pax = records;
    }
    this.#startPadding();
  }

  #forgetHeaders(): void {
    this.#headers = 0;
    this.#headerBytes = 0;
    this.#pax = undefined;
    this.#longName = "";
    this.#longLinkName = "";
  }

  #startMember(typeFlag: string, block: Buffer, at: number): void {
    const { maxEntries } = this.#limits;
    if (++this.#entries > maxEntries) throw overLimit(`more than ${maxEntries} members`);
    const member = readMember(block, at);
    const records = this.#pax;
    if (records !== undefined) applyPax(member, records);
    if (this.#longName !== "") member.path = this.#longName;
    if (this.#longLinkName !== "") member.linkPath = this.#longLinkName;
    this.#member = member;
    member.type = TYPES[typeFlag] ?? refuseType(typeFlag, member);
    this.#dataBytes = member.statedSizeBytes;
    this.#map = undefined;
    let state: State = "content";
    if (member.type === "file") {
      member.sizeBytes = this.#dataBytes;
      state = this.#startMap(member, typeFlag, block, at);
      member.statedSizeBytes = member.sizeBytes;
      if (member.sizeBytes === 0 && member.path.endsWith("/")) member.type = "directory";
    } else {
      // As in Go's archive/tar and GNU tar, only files have content, whatever the size field of other members says.
      member.sizeBytes = 0;
      if (member.type === "char" || member.type === "block") setDevice(member, block, at);
    }
    this.#checkMember(member);
    this.#forgetHeaders();
    if (state !== "content") this.#state = state;
    else if (typeFlag !== DUMP_DIRECTORY) this.#startContent();
    else {
      this.#visitor.onEntry(member);
      this.#visitor.onEntryEnd();
      this.#skip(member.statedSizeBytes);
    }
  }

  /** Returns what follows the header. */
  #startMap(member: TarMember, typeFlag: string, block: Buffer, at: number): State {
    const map = new SparseMap();
    let isExtended = false;
    let form: "block" | "list" | "text" | undefined = "block";
    if (typeFlag === GNU_SPARSE) isExtended = map.readHeader(block, at, member);
    else {
      form = this.#pax && findPaxSparse(member, this.#pax);
      if (form === undefined) return "content";
      if (form === "list")
        map.readList(this.#pax!.get(SPARSE_MAP) ?? "", this.#pax!.get("GNU.sparse.numblocks"));
    }
    this.#map = map;
    if (form === "text") return "sparse map";
    return isExtended ? "sparse extension" : "content";
  }

  #checkMember(member: TarMember): void {
    const { path, linkPath, xattrs } = member;
    if (path.includes(NUL) || linkPath.includes(NUL)) throw corruptTar(`NUL in the name of ${this.#shown}`);
    member.uid = toId(member.uid, member);
    member.gid = toId(member.gid, member);
    checkMemberPath(path);
    if (member.type === "hardlink") checkMemberPath(linkPath);
    if (linkPath.length > ARCHIVE_PATH_MAX_BYTES)
      throw overLimit(`a link target of ${linkPath.length} bytes at ${this.#shown}`);
    let nameBytes = path.length + linkPath.length;
    if (xattrs.size > 0) {
      const xattrBytes = countXattrBytes(xattrs);
      if (xattrBytes > XATTRS_MAX_BYTES)
        throw overLimit(`${xattrBytes} bytes of attributes at ${this.#shown}`);
      // They are held twice, also as base64.
      nameBytes += 2 * xattrBytes;
    }
    const { maxNameBytes } = this.#limits;
    this.#nameBytes += nameBytes;
    if (this.#nameBytes > maxNameBytes)
      throw overLimit(`more than ${maxNameBytes} bytes of names and attributes`);
  }

  #startContent(): void {
    const member = this.#member!;
    if (this.#map !== undefined) {
      this.#map.check(member, this.#dataBytes);
      member.regions = this.#map.regions;
      this.#holeBytes += member.sizeBytes - this.#dataBytes;
      this.#limits.checkHoles(this.#holeBytes);
    }
    this.#paddingBytes = paddingOf(member.type === "file" ? this.#dataBytes : 0);
    this.#state = "content";
    this.#position = 0;
    this.#region = 0;
    this.#visitor.onEntry(member);
    this.#startRegion();
  }

  /** Goes on to the next data of the file, past a hole, or to the file's end. */
  #startRegion(): void {
    const { sizeBytes, regions } = this.#member!;
    if (regions === undefined && this.#position < sizeBytes) {
      this.#leftBytes = sizeBytes;
      return;
    }
    while (regions !== undefined && this.#region < regions.length) {
      const region = regions[this.#region++]!;
      if (region.sizeBytes === 0) continue;
      this.#addHole(region.offset);
      this.#leftBytes = region.sizeBytes;
      return;
    }
    this.#addHole(sizeBytes);
    this.#endContent();
  }

  #addHole(end: number): void {
    if (end > this.#position) this.#visitor.onHole(end - this.#position);
    this.#position = end;
  }

  #endContent(): void {
    this.#visitor.onEntryEnd();
    this.#startPadding();
  }

  #skip(sizeBytes: number): void {
    this.#forgetHeaders();
    this.#paddingBytes = paddingOf(sizeBytes);
    this.#leftBytes = sizeBytes;
    this.#state = "skipped content";
    if (sizeBytes === 0) this.#startPadding();
  }

  #startPadding(): void {
    this.#leftBytes = this.#paddingBytes;
    this.#state = this.#leftBytes > 0 ? "padding" : "header";
  }

  get #shown(): string {
    return showPath(this.#member!.path);
  }
}

function paddingOf(sizeBytes: number): number {
  return (BLOCK_BYTES - (sizeBytes % BLOCK_BYTES)) % BLOCK_BYTES;
}

function refuseType(typeFlag: string, { path }: TarMember): never {
  const reason =
    typeFlag === "M"
      ? "the archive is a part of a multi-volume archive"
      : `its type ${JSON.stringify(typeFlag)} is unknown`;
  throw new AgentError("ARCHIVE_UNSUPPORTED_MEMBER", `Cannot unpack ${showPath(path)}: ${reason}`);
}

/** A negative one wraps around, as in podman; the one that the kernel takes as "unchanged" leaves root's. */
function toId(id: number, { path }: TarMember): number {
  const wrapped = id < 0 ? id + ID_RANGE : id;
  if (id >= -ID_RANGE / 2 && id < ID_RANGE) return wrapped === ID_RANGE - 1 ? 0 : wrapped;
  throw corruptTar(`the owner ${id} of ${showPath(path)} is out of range`);
}

function setDevice(member: TarMember, block: Buffer, at: number): void {
  const { major, minor } = readDevice(block, at);
  if (major < 0 || major > DEVICE_MAX_MAJOR || minor < 0 || minor > DEVICE_MAX_MINOR)
    throw corruptTar(`invalid device number of ${showPath(member.path)}`);
  member.devMajor = major;
  member.devMinor = minor;
}

function overLimit(what: string): AgentError {
  return new AgentError("ARCHIVE_LIMIT_EXCEEDED", `Cannot read the tar archive: it has ${what}`);
}
