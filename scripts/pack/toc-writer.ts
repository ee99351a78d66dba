/**
 * Writes the compressed TOC of a chunked archive, member by member.
 * Fields and their order are those of containers/storage's TOC; zero and empty fields are omitted.
 */

import type { TarEntryType, TarMember, TarTime } from "../../agent/archive/tar-entry.ts";
import { FrameStream } from "./frame-writer.ts";

export interface WrittenChunk {
  offset: number;
  fileOffset: number;
  sizeBytes: number;
  /** sha256, hex. */
  digest: string;
  isZeros: boolean;
}

const TYPES: Readonly<Record<TarEntryType, string>> = {
  file: "reg",
  hardlink: "hardlink",
  char: "char",
  block: "block",
  directory: "dir",
  fifo: "fifo",
  symlink: "symlink",
};
/** RFC 3339 years have four digits, and the first day of year 1 means that there is no time. */
const FIRST_SECOND = Date.parse("0001-01-02T00:00:00Z") / 1000;
const LAST_SECOND = Date.parse("9999-12-31T23:59:59Z") / 1000;

export class TocWriter {
  readonly #stream: FrameStream;
  #isFirst = true;

  constructor(level: number) {
    this.#stream = new FrameStream(level);
    this.#write('{"version":1,"entries":[');
  }

  /** `digest` (sha256 in hex) and `chunks` are those of the content, which ends at `endOffset` of the archive. */
  addMember(
    member: TarMember,
    digest: string | undefined,
    chunks: readonly WrittenChunk[],
    endOffset: number,
  ): void {
    const name = toUtf8(member.path);
    const isDevice = member.type === "char" || member.type === "block";
    const first = chunks[0];
    const record = {
      type: TYPES[member.type],
      name,
      linkName: toUtf8(member.linkPath),
      mode: member.rawMode,
      size: member.statedSizeBytes,
      uid: member.uid,
      gid: member.gid,
      modtime: formatTime(member.mtime),
      accesstime: formatTime(member.accessTime),
      changetime: formatTime(member.changeTime),
      devMajor: isDevice ? member.devMajor : 0,
      devMinor: isDevice ? member.devMinor : 0,
      xattrs: formatXattrs(member.xattrs),
      digest: digest === undefined ? "" : `sha256:${digest}`,
      offset: first?.offset ?? 0,
      endOffset: first === undefined ? 0 : endOffset,
      ...(first !== undefined && (chunks.length > 1 || first.isZeros) && describeChunk(first)),
    };
    this.#writeRecord(record);
    for (const chunk of chunks.slice(1)) {
      this.#writeRecord({ type: "chunk", name, offset: chunk.offset, ...describeChunk(chunk) });
    }
  }

  /** `tarSplitDigest`: sha256 of the compressed tar-split, in hex. */
  finish(tarSplitDigest: string): { frame: Buffer; plainBytes: number } {
    this.#write(`],"tarSplitDigest":"sha256:${tarSplitDigest}"}`);
    const frame = this.#stream.finish();
    return { frame, plainBytes: this.#stream.plainBytes };
  }

  #writeRecord(fields: Record<string, unknown>): void {
    const set = Object.entries(fields).filter(
      ([, value]) => value !== 0 && value !== "" && value !== undefined,
    );
    this.#write(`${this.#isFirst ? "" : ","}${JSON.stringify(Object.fromEntries(set))}`);
    this.#isFirst = false;
  }

  #write(text: string): void {
    this.#stream.write(Buffer.from(text, "utf8"));
  }
}

function describeChunk(chunk: WrittenChunk): Record<string, unknown> {
  return {
    chunkSize: chunk.sizeBytes,
    chunkOffset: chunk.fileOffset,
    chunkDigest: `sha256:${chunk.digest}`,
    chunkType: chunk.isZeros ? "zeros" : "",
  };
}

function formatTime(time: TarTime | undefined): string | undefined {
  if (time === undefined || time.sec < FIRST_SECOND || time.sec > LAST_SECOND) return undefined;
  const seconds = new Date(Number(time.sec) * 1000).toISOString().slice(0, -".000Z".length);
  const fraction = time.nsec === 0 ? "" : `.${String(time.nsec).padStart(9, "0").replace(/0+$/, "")}`;
  return `${seconds}${fraction}Z`;
}

function formatXattrs(xattrs: ReadonlyMap<string, Buffer>): Record<string, string> | undefined {
  if (xattrs.size === 0) return undefined;
  return Object.fromEntries([...xattrs].map(([key, value]) => [toUtf8(key), value.toString("base64")]));
}

/** Invalid UTF-8 becomes U+FFFD, as in Go's JSON; the tar-split has the original bytes. */
function toUtf8(latin1: string): string {
  return Buffer.from(latin1, "latin1").toString("utf8");
}
