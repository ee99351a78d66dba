/** Smallest ELF64 files with a dynamic section, to show what the reader takes and refuses. */

export interface ElfRecipe {
  machine?: number;
  needed?: readonly string[];
  interpreter?: string;
  /** Leaves the segment out that would map the string table. */
  withoutLoad?: boolean;
}

const BASE = 0x400000;
const HEADER_BYTES = 64;
const PROGRAM_HEADER_BYTES = 56;

/** One PT_LOAD over the whole file, PT_DYNAMIC with DT_NEEDED entries and DT_STRTAB, PT_INTERP when asked for. */
export function buildElf({
  machine = 62,
  needed = [],
  interpreter,
  withoutLoad = false,
}: ElfRecipe = {}): Buffer {
  const strings = Buffer.from(`\0${[...needed, ""].join("\0")}`);
  const loader = Buffer.from(interpreter ? `${interpreter}\0` : "");
  const headerCount = 3;
  const stringsAt = HEADER_BYTES + headerCount * PROGRAM_HEADER_BYTES;
  const loaderAt = stringsAt + strings.length;
  const dynamicAt = loaderAt + loader.length;
  const entries: [number, number][] = needed.map((name) => [1, strings.indexOf(`${name}\0`)]);
  entries.push([5, BASE + stringsAt], [0, 0]);
  const dynamic = Buffer.alloc(entries.length * 16);
  entries.forEach(([tag, value], index) => {
    dynamic.writeBigUInt64LE(BigInt(tag), index * 16);
    dynamic.writeBigUInt64LE(BigInt(value), index * 16 + 8);
  });
  const sizeBytes = dynamicAt + dynamic.length;

  const header = Buffer.alloc(HEADER_BYTES);
  header.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  header.writeUInt16LE(machine, 18);
  header.writeBigUInt64LE(BigInt(HEADER_BYTES), 32);
  header.writeUInt16LE(headerCount, 56);
  const segments = [
    segment(withoutLoad ? 0 : 1, 0, sizeBytes),
    segment(2, dynamicAt, dynamic.length),
    segment(interpreter ? 3 : 0, loaderAt, loader.length),
  ];
  return Buffer.concat([header, ...segments, strings, loader, dynamic]);
}

function segment(type: number, offset: number, sizeBytes: number): Buffer {
  const header = Buffer.alloc(PROGRAM_HEADER_BYTES);
  header.writeUInt32LE(type, 0);
  header.writeBigUInt64LE(BigInt(offset), 8);
  header.writeBigUInt64LE(BigInt(BASE + offset), 16);
  header.writeBigUInt64LE(BigInt(sizeBytes), 32);
  return header;
}
