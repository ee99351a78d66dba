/**
 * Reads the dynamic symbols of an ELF file: those that it defines and those that it needs.
 * System V ABI, chapter 4 (sections) and 5 (symbol table); ELF64, little endian.
 */

export interface ElfSection {
  name: string;
  offset: number;
  sizeBytes: number;
}

export interface DynamicSymbol {
  index: number;
  /** File offset of its 24-byte record. */
  offset: number;
  /** Offset of its name in .dynstr. */
  nameOffset: number;
  name: string;
  /** True if the file defines it; false if it needs it. */
  defined: boolean;
}

const SECTION_HEADER_BYTES = 64;
export const SYMBOL_BYTES = 24;

export function readSections(file: Buffer): Map<string, ElfSection> {
  const tableOffset = Number(file.readBigUInt64LE(40));
  const count = file.readUInt16LE(60);
  const headers = Array.from({ length: count }, (_, index) => {
    const start = tableOffset + index * SECTION_HEADER_BYTES;
    return {
      nameOffset: file.readUInt32LE(start),
      offset: Number(file.readBigUInt64LE(start + 24)),
      sizeBytes: Number(file.readBigUInt64LE(start + 32)),
    };
  });
  const names = headers[file.readUInt16LE(62)];
  if (!names) throw new RangeError("Cannot read the ELF file: it has no section names");
  return new Map(
    headers.map(({ nameOffset, offset, sizeBytes }) => {
      const name = readName(file, names.offset + nameOffset);
      return [name, { name, offset, sizeBytes }];
    }),
  );
}

export function requireSection(sections: ReadonlyMap<string, ElfSection>, name: string): ElfSection {
  const section = sections.get(name);
  if (!section) throw new RangeError(`Cannot read the ELF file: it has no section "${name}"`);
  return section;
}

/** Returns .dynsym without the empty first entry; empty for a static program. */
export function readDynamicSymbols(file: Buffer): DynamicSymbol[] {
  const sections = readSections(file);
  const table = sections.get(".dynsym");
  if (!table) return [];
  const strings = requireSection(sections, ".dynstr");
  const symbols: DynamicSymbol[] = [];
  for (let index = 1; index * SYMBOL_BYTES < table.sizeBytes; index++) {
    const offset = table.offset + index * SYMBOL_BYTES;
    const nameOffset = file.readUInt32LE(offset);
    const name = readName(file, strings.offset + nameOffset);
    symbols.push({ index, offset, nameOffset, name, defined: file.readUInt16LE(offset + 6) !== 0 });
  }
  return symbols;
}

function readName(file: Buffer, offset: number): string {
  return file.toString("latin1", offset, file.indexOf(0, offset));
}
