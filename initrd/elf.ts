/**
 * Reads machine, interpreter and shared libraries of an ELF file. Pure.
 * System V ABI, chapters 4 and 5: ELF64, little endian.
 */

export interface ElfFacts {
  /** `e_machine`. */
  machine: number;
  /** PT_INTERP: the dynamic loader's path. */
  interpreter?: string;
  /** DT_NEEDED, in order. */
  needed: string[];
}

const PT_LOAD = 1;
const PT_DYNAMIC = 2;
const PT_INTERP = 3;
const DT_NULL = 0;
const DT_NEEDED = 1;
const DT_STRTAB = 5;
const DYNAMIC_ENTRY_BYTES = 16;
const PROGRAM_HEADER_BYTES = 56;

interface Segment {
  type: number;
  offset: number;
  address: number;
  sizeBytes: number;
}

/** Returns undefined for a file that is not ELF. Throws RangeError if it is corrupt or not ELF64 little endian. */
export function readElf(file: Buffer): ElfFacts | undefined {
  if (file.length < 4 || file.readUInt32BE(0) !== 0x7f454c46) return undefined;
  if (file[4] !== 2 || file[5] !== 1)
    throw new RangeError("Cannot read the ELF file: not 64 bit, little endian");
  const segments = readSegments(file);
  const interpreter = segments.find(({ type }) => type === PT_INTERP);
  return {
    machine: file.readUInt16LE(18),
    needed: readNeeded(file, segments),
    ...(interpreter && { interpreter: readString(file, interpreter.offset) }),
  };
}

function readSegments(file: Buffer): Segment[] {
  const tableOffset = readNumber(file, 32);
  const count = file.readUInt16LE(56);
  return Array.from({ length: count }, (_, index) => {
    const start = tableOffset + index * PROGRAM_HEADER_BYTES;
    return {
      type: file.readUInt32LE(start),
      offset: readNumber(file, start + 8),
      address: readNumber(file, start + 16),
      sizeBytes: readNumber(file, start + 32),
    };
  });
}

function readNeeded(file: Buffer, segments: Segment[]): string[] {
  const dynamic = segments.find(({ type }) => type === PT_DYNAMIC);
  if (!dynamic) return [];
  const nameOffsets: number[] = [];
  let stringsAddress: number | undefined;
  for (let at = dynamic.offset; at < dynamic.offset + dynamic.sizeBytes; at += DYNAMIC_ENTRY_BYTES) {
    const tag = readNumber(file, at);
    if (tag === DT_NULL) break;
    if (tag === DT_NEEDED) nameOffsets.push(readNumber(file, at + 8));
    if (tag === DT_STRTAB) stringsAddress = readNumber(file, at + 8);
  }
  if (nameOffsets.length === 0) return [];
  const strings = toOffset(segments, stringsAddress);
  return nameOffsets.map((offset) => readString(file, strings + offset));
}

/** The file offset of a virtual address. */
function toOffset(segments: Segment[], address: number | undefined): number {
  const holder = segments.find(
    ({ type, address: start, sizeBytes }) =>
      type === PT_LOAD && address !== undefined && address >= start && address < start + sizeBytes,
  );
  if (!holder || address === undefined)
    throw new RangeError("Cannot read the ELF file: its string table is nowhere");
  return address - holder.address + holder.offset;
}

/** A double holds every offset of a real file. */
function readNumber(file: Buffer, offset: number): number {
  return Number(file.readBigUInt64LE(offset));
}

function readString(file: Buffer, offset: number): string {
  const end = file.indexOf(0, offset);
  if (offset >= file.length || end < 0) throw new RangeError("Cannot read the ELF file: a string has no end");
  return file.toString("latin1", offset, end);
}
