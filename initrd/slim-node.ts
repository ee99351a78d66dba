/**
 * Clears the tables of the Node binary that only a linker or debugger reads. Saves 2.6 MB of the compressed image.
 * Node exports 38,000 symbols for add-ons; ours use about forty. Tables keep their offset and size; entries become zeros.
 */
import { readDynamicSymbols, readSections, requireSection, SYMBOL_BYTES } from "./elf-symbols.ts";

const RELOCATION_BYTES = 24;
/** "This field is absent" (LSB, .eh_frame_hdr). */
const DW_EH_PE_OMIT = 0xff;
const DT_STRING_TAGS = new Set([1, 14, 15, 29]); // NEEDED, SONAME, RPATH, RUNPATH

/**
 * Returns a copy of `node` that exports only the symbols that `others`, the objects loaded with it, need.
 * The symbols are computed from those files, so a new native module works.
 */
export function slimNode(node: Buffer, others: readonly Buffer[]): Buffer {
  const slim = Buffer.from(node);
  const wanted = new Set(others.flatMap((file) => readDynamicSymbols(file).map(({ name }) => name)));
  const related = readRelatedSymbols(slim);
  const symbols = readDynamicSymbols(slim);
  const isKept = (symbol: (typeof symbols)[number]) =>
    !symbol.defined || related.has(symbol.index) || wanted.has(symbol.name);
  const kept = symbols.filter(isKept);
  const dropped = symbols.filter((symbol) => !isKept(symbol));

  emptyNames(
    slim,
    kept.map(({ nameOffset }) => nameOffset),
  );
  for (const { offset } of dropped) {
    slim.writeUInt32LE(0, offset); // name
    slim.fill(0, offset + 8, offset + SYMBOL_BYTES); // value and size
  }
  emptyHashes(
    slim,
    dropped.map(({ index }) => index),
  );
  emptyUnwindTables(slim);
  return slim;
}

/** Symbols of Node's own relocations, such as copied library objects (R_*_COPY). */
function readRelatedSymbols(file: Buffer): Set<number> {
  const sections = readSections(file);
  const found = new Set<number>();
  for (const name of [".rela.dyn", ".rela.plt"]) {
    const section = sections.get(name);
    for (let at = 0; section && at < section.sizeBytes; at += RELOCATION_BYTES) {
      found.add(Number(file.readBigUInt64LE(section.offset + at + 8) >> 32n));
    }
  }
  return found;
}

/** A name can be the tail of another name, so this marks bytes and not names. */
function emptyNames(file: Buffer, keptOffsets: number[]): void {
  const sections = readSections(file);
  const { offset: start, sizeBytes } = requireSection(sections, ".dynstr");
  const copy = Buffer.from(file.subarray(start, start + sizeBytes));
  file.fill(0, start, start + sizeBytes);
  for (const offset of [...keptOffsets, ...readOtherNames(file)]) {
    const end = copy.indexOf(0, offset);
    copy.copy(file, start + offset, offset, end);
  }
}

/** Offsets in .dynstr of names that are not symbols: libraries and symbol versions. */
function readOtherNames(file: Buffer): number[] {
  const sections = readSections(file);
  const offsets: number[] = [];
  const dynamic = requireSection(sections, ".dynamic");
  for (let at = dynamic.offset; at < dynamic.offset + dynamic.sizeBytes; at += 16) {
    const tag = Number(file.readBigInt64LE(at));
    if (DT_STRING_TAGS.has(tag)) offsets.push(Number(file.readBigUInt64LE(at + 8)));
  }
  // LSB, symbol versioning: needs are a chain of files (vn_file at 4), each with a chain of versions (vna_name at 8).
  let need = sections.get(".gnu.version_r")?.offset;
  while (need !== undefined) {
    offsets.push(file.readUInt32LE(need + 4));
    let version: number | undefined = need + file.readUInt32LE(need + 8);
    while (version !== undefined) {
      offsets.push(file.readUInt32LE(version + 8));
      const nextVersion = file.readUInt32LE(version + 12);
      version = nextVersion === 0 ? undefined : version + nextVersion;
    }
    const nextNeed: number = file.readUInt32LE(need + 12);
    need = nextNeed === 0 ? undefined : need + nextNeed;
  }
  if (sections.has(".gnu.version_d")) {
    throw new RangeError("Cannot slim the ELF file: it defines versions, which Node never did");
  }
  return offsets;
}

/** .gnu.hash: a lookup ignores the lowest bit, which ends a chain and must be kept. */
function emptyHashes(file: Buffer, dropped: readonly number[]): void {
  const { offset } = requireSection(readSections(file), ".gnu.hash");
  const bucketCount = file.readUInt32LE(offset);
  const firstSymbol = file.readUInt32LE(offset + 4);
  const bloomWords = file.readUInt32LE(offset + 8);
  const chains = offset + 16 + bloomWords * 8 + bucketCount * 4;
  for (const index of dropped) {
    if (index < firstSymbol) continue;
    const at = chains + (index - firstSymbol) * 4;
    file.writeUInt32LE(file.readUInt32LE(at) & 1, at);
  }
}

/**
 * Unwind tables: Node is compiled without exceptions, so its frames never catch or clean up. An add-on's exception is caught
 * in the add-on before it reaches Node; an uncaught one ends in std::terminate with or without the tables.
 */
function emptyUnwindTables(file: Buffer): void {
  const sections = readSections(file);
  const index = sections.get(".eh_frame_hdr");
  if (!index) return;
  file[index.offset + 2] = DW_EH_PE_OMIT; // encoding of the count
  file[index.offset + 3] = DW_EH_PE_OMIT; // encoding of the sorted table
  file.fill(0, index.offset + 8, index.offset + index.sizeBytes);
  // A record of length 0 ends the list, so the list is empty.
  const { offset, sizeBytes } = requireSection(sections, ".eh_frame");
  file.fill(0, offset, offset + sizeBytes);
}
