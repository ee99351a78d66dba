/** Chunked blobs for tests: packed by our packer, and the same as older writers made them. */
import { createHash } from "node:crypto";
import { compress, decompress } from "zstd-napi";
import { type PackedArchive, packArchive } from "../../../scripts/pack/archive-packer.ts";
import { formatSkippableHeader } from "../../../scripts/pack/positions-writer.ts";

export interface Chunked {
  blob: Buffer;
  digest: string;
  diffId: string;
  tocDigest: string;
  annotations: Record<string, string>;
}

/** A table of contents as JSON: whatever a test makes of it. */
// biome-ignore lint/suspicious/noExplicitAny: hostile tables have any shape
export type TocJson = any;

export async function packTar(tar: Buffer): Promise<Chunked> {
  const { blob, packed } = await pack(tar);
  const { digest, diffId, annotations, positions } = packed;
  return { blob, digest, diffId, annotations, tocDigest: positions.tocDigest! };
}

async function pack(tar: Buffer): Promise<{ blob: Buffer; packed: PackedArchive }> {
  const parts: Buffer[] = [];
  const packing = packArchive([tar]);
  for (;;) {
    const step = await packing.next();
    if (step.done) return { blob: Buffer.concat(parts), packed: step.value };
    parts.push(step.value);
  }
}

/** As Debian 12's tools write: the older prefix and footer, no tar-split. `edit` changes the table. */
export async function packOld(tar: Buffer, edit: (toc: TocJson) => void = () => {}): Promise<Chunked> {
  const { blob, packed } = await pack(tar);
  const { toc } = packed.positions;
  const table = JSON.parse(decompress(blob.subarray(toc.offset, toc.offset + toc.sizeBytes)).toString());
  delete table.tarSplitDigest;
  edit(table);
  return assemble(blob.subarray(0, toc.offset - 8), table, packed.diffId);
}

/** Any table behind the data of a packed blob, with the newer prefix and tar-split. */
export async function packWith(tar: Buffer, edit: (toc: TocJson) => void): Promise<Chunked> {
  const { blob, packed } = await pack(tar);
  const { toc, tarSplit } = packed.positions;
  const table = JSON.parse(decompress(blob.subarray(toc.offset, toc.offset + toc.sizeBytes)).toString());
  edit(table);
  const data = blob.subarray(0, toc.offset - 8);
  const split = blob.subarray(tarSplit!.offset, tarSplit!.offset + tarSplit!.sizeBytes);
  return assemble(data, table, packed.diffId, { frame: split, plainBytes: tarSplit!.plainBytes });
}

function assemble(
  data: Buffer,
  table: unknown,
  diffId: string,
  split?: { frame: Buffer; plainBytes: number },
): Chunked {
  const plain = Buffer.from(JSON.stringify(table));
  const frame = compress(plain);
  const tocOffset = data.length + 8;
  const splitOffset = tocOffset + frame.length + 8;
  const numbers = [tocOffset, frame.length, plain.length, 1];
  if (split) numbers.push(splitOffset, split.frame.length, split.plainBytes);
  const footer = Buffer.concat([...numbers.map(toU64), Buffer.from("GNUlInUx")]);
  const blob = Buffer.concat([
    data,
    formatSkippableHeader(frame.length),
    frame,
    ...(split ? [formatSkippableHeader(split.frame.length), split.frame] : []),
    formatSkippableHeader(footer.length),
    footer,
  ]);
  const tocDigest = sha256(frame);
  const prefix = split ? "io.github.containers.zstd-chunked." : "io.containers.zstd-chunked.";
  return {
    blob,
    digest: sha256(blob),
    diffId,
    tocDigest,
    annotations: {
      [`${prefix}manifest-checksum`]: tocDigest,
      [`${prefix}manifest-position`]: numbers.slice(0, 4).join(":"),
      ...(split && { [`${prefix}tarsplit-position`]: numbers.slice(4).join(":") }),
    },
  };
}

function toU64(number: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(number));
  return bytes;
}

export const sha256 = (bytes: Buffer): string => `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
