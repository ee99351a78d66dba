/**
 * Removes a shared library from what a program needs, where the functions that call it are never run. Debian's kmod links libcrypto
 * (2 MiB in a compressed image) only to print the signer of a module in modinfo. Nothing moves: records are changed in place, so that
 * they name another library and a version of it, and the symbols become weak (ELF gABI; LSB, "Symbol Versioning").
 */
import { readDynamicSymbols, readSections, requireSection } from "./elf-symbols.ts";

const DT_NEEDED = 1n;
const DYNAMIC_ENTRY_BYTES = 16;
const STB_WEAK = 2;

/** A copy of `program` that loads without `library`; its functions become null pointers. RangeError for another kind of program. */
export function detachLibrary(program: Buffer, library: string): Buffer {
  const file = Buffer.from(program);
  const sections = readSections(file);
  const strings = requireSection(sections, ".dynstr");
  const nameOf = (offset: number) => {
    const start = strings.offset + offset;
    return file.toString("latin1", start, file.indexOf(0, start));
  };

  // One record per library (vn_file at 4), each with a chain of versions (vna_hash at 0, vna_other at 6, vna_name at 8).
  const needs = listChain(file, requireSection(sections, ".gnu.version_r").offset, 12);
  const isDetached = (need: number) => nameOf(file.readUInt32LE(need + 4)) === library;
  const detached = needs.find(isDetached);
  const other = needs.find((need) => !isDetached(need));
  if (detached === undefined || other === undefined)
    throw new RangeError(`Cannot detach "${library}": the program does not need it beside another library`);
  const versionsOf = (need: number) => listChain(file, need + file.readUInt32LE(need + 8), 12);
  const substitute = versionsOf(other)[0]!;
  const versions = new Set<number>();
  for (const version of versionsOf(detached)) {
    versions.add(file.readUInt16LE(version + 6));
    for (const field of [0, 8]) file.writeUInt32LE(file.readUInt32LE(substitute + field), version + field);
  }
  const otherName = file.readUInt32LE(other + 4);
  file.writeUInt32LE(otherName, detached + 4);

  const dynamic = requireSection(sections, ".dynamic");
  for (let at = dynamic.offset; at < dynamic.offset + dynamic.sizeBytes; at += DYNAMIC_ENTRY_BYTES) {
    const isNeeded = file.readBigUInt64LE(at) === DT_NEEDED;
    if (isNeeded && nameOf(Number(file.readBigUInt64LE(at + 8))) === library)
      file.writeBigUInt64LE(BigInt(otherName), at + 8);
  }

  const symbolVersions = requireSection(sections, ".gnu.version").offset;
  for (const { index, offset } of readDynamicSymbols(file)) {
    if (!versions.has(file.readUInt16LE(symbolVersions + index * 2))) continue;
    file[offset + 4] = (STB_WEAK << 4) | (file[offset + 4]! & 0xf);
  }
  return file;
}

/** Offsets of the records of a chain, whose distance to the next one is at `nextAt` in each; 0 ends it. */
function listChain(file: Buffer, start: number, nextAt: number): number[] {
  const records = [start];
  for (let step = file.readUInt32LE(start + nextAt); step !== 0; ) {
    const record = records.at(-1)! + step;
    records.push(record);
    step = file.readUInt32LE(record + nextAt);
  }
  return records;
}
