/**
 * The maps of sparse files: GNU's types S (also in star's layout) and pax 0.0, 0.1 and 1.0 (GNU tar manual, "Sparse Formats").
 * The data of all regions follows without gaps.
 */
import { AgentError } from "../errors.ts";
import { BLOCK_BYTES, corruptTar, findFormat, readNumber } from "./tar-block.ts";
import { type DataRegion, showPath, type TarMember } from "./tar-entry.ts";
import { type PaxRecords, parseSize, SPARSE_MAP } from "./tar-pax.ts";

/** Where a block has regions: in a header, and in the blocks that may follow it. */
const LAYOUTS = {
  gnu: { regions: 386, count: 4, isExtended: 482, realSize: 483 },
  star: { regions: 356, count: 4, isExtended: 355, realSize: 452 },
  extension: { regions: 0, count: 21, isExtended: 504 },
} as const;
const NUMBER_BYTES = 12;

/** Collects the regions of one member. */
export class SparseMap {
  readonly regions: DataRegion[] = [];
  /** What a map at the start of the content (1.0) has not given yet. */
  #missingNumbers = Number.POSITIVE_INFINITY;
  #numbers: number[] = [];
  #text = "";

  /** Of a header of type S, whose member gets its real size. Returns whether a block with more follows. */
  readHeader(block: Buffer, at: number, member: TarMember): boolean {
    const format = findFormat(block, at);
    const layout = format === "gnu" || format === "star" ? LAYOUTS[format] : undefined;
    if (layout === undefined) throw unsupportedSparse(member);
    member.sizeBytes = readNumber(block, at + layout.realSize, NUMBER_BYTES);
    return this.#readRegions(block, at, layout);
  }

  readExtension(block: Buffer, at: number): boolean {
    return this.#readRegions(block, at, LAYOUTS.extension);
  }

  #readRegions(block: Buffer, at: number, layout: (typeof LAYOUTS)[keyof typeof LAYOUTS]): boolean {
    for (let index = 0; index < layout.count; index++) {
      const start = at + layout.regions + 2 * NUMBER_BYTES * index;
      if (block[start] === 0) break;
      this.regions.push({
        offset: readNumber(block, start, NUMBER_BYTES),
        sizeBytes: readNumber(block, start + NUMBER_BYTES, NUMBER_BYTES),
      });
    }
    return block[at + layout.isExtended] !== 0;
  }

  /** Of pax 0.0 and 0.1. */
  readList(list: string, count: string | undefined): void {
    const numbers = list === "" ? [] : list.split(",").map(readDecimal);
    if (readDecimal(count ?? "") * 2 !== numbers.length) throw corruptTar("a sparse map has another length");
    this.#addRegions(numbers);
  }

  /** A block at the start of the content, of pax 1.0. Returns whether another follows. */
  readText(block: Buffer, at: number): boolean {
    const words = (this.#text + block.toString("latin1", at, at + BLOCK_BYTES)).split("\n");
    this.#text = words.pop()!;
    if (this.#missingNumbers > 0 && this.#text.length > BLOCK_BYTES)
      throw corruptTar("a sparse map has no numbers");
    for (const word of words) {
      if (this.#missingNumbers === 0) break;
      const number = readDecimal(word);
      if (this.#missingNumbers === Number.POSITIVE_INFINITY) this.#missingNumbers = 2 * number;
      else {
        this.#numbers.push(number);
        this.#missingNumbers--;
      }
    }
    if (this.#missingNumbers > 0) return true;
    this.#addRegions(this.#numbers);
    return false;
  }

  #addRegions(numbers: readonly number[]): void {
    for (let index = 0; index < numbers.length; index += 2)
      this.regions.push({ offset: numbers[index]!, sizeBytes: numbers[index + 1]! });
  }

  /** The map is complete: `dataBytes` of data follow. Throws ARCHIVE_CORRUPT. */
  check(member: TarMember, dataBytes: number): void {
    let end = 0;
    let sum = 0;
    for (const { offset, sizeBytes } of this.regions) {
      if (sizeBytes < 0 || offset < end) throw badMap(member, "its regions overlap");
      end = offset + sizeBytes;
      sum += sizeBytes;
    }
    if (end > member.sizeBytes) throw badMap(member, "a region exceeds the file");
    if (sum !== dataBytes) throw badMap(member, `it has ${dataBytes} bytes of data for ${sum}`);
  }
}

/** How the content of a member with these records begins; its name and size become those of the sparse file. */
export function findPaxSparse(member: TarMember, records: PaxRecords): "list" | "text" | undefined {
  const get = (key: string) => records.get(`GNU.sparse.${key}`) ?? "";
  const version = `${get("major")}.${get("minor")}`;
  const list = records.get(SPARSE_MAP) ?? "";
  if (version === "." && list === "") {
    // star's form: other readers take the data for the file.
    if (![undefined, String(member.statedSizeBytes)].includes(records.get("SCHILY.realsize")))
      throw unsupportedSparse(member);
    return undefined;
  }
  if (!["0.0", "0.1", "1.0", "."].includes(version)) throw unsupportedSparse(member);
  member.path = get("name") || member.path;
  const size = get("size") || get("realsize");
  member.sizeBytes = size === "" ? member.statedSizeBytes : readDecimal(size);
  return version === "1.0" ? "text" : "list";
}

function readDecimal(text: string): number {
  const value = parseSize(text);
  if (value === undefined) throw corruptTar(`"${text.slice(0, 40)}" in a sparse map is not a number`);
  return value;
}

function badMap({ path }: TarMember, reason: string): AgentError {
  return corruptTar(`the sparse map of ${showPath(path)} is wrong: ${reason}`);
}

function unsupportedSparse({ path }: TarMember): AgentError {
  return new AgentError(
    "ARCHIVE_UNSUPPORTED_MEMBER",
    `Cannot unpack ${showPath(path)}: it is a sparse file of an unknown format`,
  );
}
