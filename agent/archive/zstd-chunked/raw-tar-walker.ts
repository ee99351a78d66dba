/**
 * Splits a tar stream into literal bytes and contents, losing none. Literals are what is between two contents:
 * padding, extended headers, the header. tar-split calls them segments.
 */

import { AgentError } from "../../errors.ts";
import { TAR_HEADER_MAX_BYTES } from "../limits.ts";
import { type PaxRecords, parsePaxRecords, parsePaxTime } from "../pax-records.ts";
import { type PaxFields, readPaxFields } from "../tar-header.ts";
import {
  corruptTar,
  describeMember,
  isZeroBlock,
  parseTarBlock,
  TAR_BLOCK_BYTES,
  type TarBlock,
  type TarMember,
} from "./tar-block.ts";

/** Called in the order of the stream; the buffers belong to the caller of `feed`. */
export interface RawTarVisitor {
  onLiteral(bytes: Buffer): void;
  /** After the header's last literal, before the content. */
  onMember(member: TarMember): void;
  onContent(bytes: Buffer): void;
  /** After the content, also an empty one. */
  onMemberEnd(): void;
}

type State = "header" | "extension" | "content" | "padding" | "end";

export class RawTarWalker {
  readonly #visitor: RawTarVisitor;
  #state: State = "header";
  #block = Buffer.allocUnsafe(TAR_BLOCK_BYTES);
  #blockBytes = 0;
  /** Bytes left of the extension, the content or the padding. */
  #leftBytes = 0;
  #paddingBytes = 0;
  #zeroBlocks = 0;
  #extension: { typeFlag: string; parts: Buffer[] } | undefined;
  #globalPax: PaxFields | null = null;
  #records: PaxRecords | undefined;
  #longName: string | undefined;
  #longLinkName: string | undefined;

  constructor(visitor: RawTarVisitor) {
    this.#visitor = visitor;
  }

  /** Throws ARCHIVE_CORRUPT and ARCHIVE_UNSUPPORTED_MEMBER. */
  feed(chunk: Buffer): void {
    let offset = 0;
    while (offset < chunk.length) {
      if (this.#state === "end") {
        this.#visitor.onLiteral(chunk.subarray(offset));
        return;
      }
      const wanted = this.#state === "header" ? TAR_BLOCK_BYTES - this.#blockBytes : this.#leftBytes;
      const taken = Math.min(wanted, chunk.length - offset);
      this.#take(chunk.subarray(offset, offset + taken));
      offset += taken;
    }
  }

  /** Continues after the current member's content, which the caller does not feed. */
  skipContent(): void {
    this.#leftBytes = 0;
    this.#endContent();
  }

  get awaitsContent(): boolean {
    return this.#state === "content";
  }

  /** To be called at the end of the stream. Throws ARCHIVE_TRUNCATED; end-of-archive blocks may be missing. */
  finish(): void {
    const isBetweenMembers =
      this.#state === "header" && this.#blockBytes === 0 && this.#extension === undefined;
    if (this.#state === "end" || this.#state === "padding" || isBetweenMembers) return;
    throw new AgentError(
      "ARCHIVE_TRUNCATED",
      `Cannot read a tar archive: it is truncated in a member's ${this.#state}`,
    );
  }

  #take(bytes: Buffer): void {
    if (this.#state === "content") {
      this.#visitor.onContent(bytes);
      this.#leftBytes -= bytes.length;
      if (this.#leftBytes === 0) this.#endContent();
      return;
    }
    this.#visitor.onLiteral(bytes);
    if (this.#state === "header") {
      bytes.copy(this.#block, this.#blockBytes);
      this.#blockBytes += bytes.length;
      if (this.#blockBytes === TAR_BLOCK_BYTES) this.#endBlock();
      return;
    }
    this.#leftBytes -= bytes.length;
    if (this.#state === "extension") this.#extension!.parts.push(Buffer.from(bytes));
    if (this.#leftBytes > 0) return;
    if (this.#state === "extension") this.#endExtension();
    else this.#state = "header";
  }

  #endBlock(): void {
    this.#blockBytes = 0;
    if (isZeroBlock(this.#block)) {
      if (this.#extension !== undefined || this.#records !== undefined)
        throw corruptTar("it ends after an extended header");
      this.#zeroBlocks++;
      if (this.#zeroBlocks === 2) this.#state = "end";
      return;
    }
    if (this.#zeroBlocks > 0) throw corruptTar("a header follows one block of zeros");
    const block = parseTarBlock(this.#block);
    if ("xgLK".includes(block.typeFlag)) this.#startExtension(block);
    else this.#startMember(block);
  }

  #startExtension({ typeFlag, sizeBytes }: TarBlock): void {
    if (sizeBytes > TAR_HEADER_MAX_BYTES) throw corruptTar(`an extended header of ${sizeBytes} bytes`);
    this.#extension = { typeFlag, parts: [] };
    this.#paddingBytes = padding(sizeBytes);
    this.#leftBytes = sizeBytes;
    this.#state = "extension";
    if (sizeBytes === 0) this.#endExtension();
  }

  #endExtension(): void {
    const { typeFlag, parts } = this.#extension!;
    const bytes = Buffer.concat(parts);
    this.#extension = undefined;
    if (typeFlag === "x") this.#records = parsePaxRecords(bytes);
    else if (typeFlag === "g") this.#globalPax = readPaxFields(parsePaxRecords(bytes), this.#globalPax);
    else if (typeFlag === "L") this.#longName = textUntilNul(bytes);
    else this.#longLinkName = textUntilNul(bytes);
    this.#startPadding();
  }

  #startMember(block: TarBlock): void {
    const records = this.#records;
    const pax = records === undefined ? this.#globalPax : readPaxFields(records, this.#globalPax);
    const atime = parsePaxTime(records?.get("atime") ?? "");
    const ctime = parsePaxTime(records?.get("ctime") ?? "");
    const fields = pax === null ? undefined : { ...pax, atime, ctime };
    const member = describeMember(block, fields, this.#longName, this.#longLinkName);
    this.#records = undefined;
    this.#longName = undefined;
    this.#longLinkName = undefined;
    this.#leftBytes = member.entry.sizeBytes;
    this.#paddingBytes = padding(member.entry.sizeBytes);
    this.#state = "content";
    this.#visitor.onMember(member);
    if (this.#state === "content" && this.#leftBytes === 0) this.#endContent();
  }

  #endContent(): void {
    this.#visitor.onMemberEnd();
    this.#startPadding();
  }

  #startPadding(): void {
    this.#leftBytes = this.#paddingBytes;
    this.#state = this.#leftBytes > 0 ? "padding" : "header";
  }
}

function padding(sizeBytes: number): number {
  return (TAR_BLOCK_BYTES - (sizeBytes % TAR_BLOCK_BYTES)) % TAR_BLOCK_BYTES;
}

function textUntilNul(bytes: Buffer): string {
  const end = bytes.indexOf(0);
  return bytes.toString("latin1", 0, end < 0 ? bytes.length : end);
}
