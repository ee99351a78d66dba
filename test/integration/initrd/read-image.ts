/** Reads an image the way the kernel does: concatenated zstd frames, each a cpio archive, zeros between them. */
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import zstd from "zstd-napi/binding.js";

export interface ImageEntry {
  path: string;
  kind: "file" | "directory" | "symlink" | "char";
  mode: number;
  mtimeSec: number;
  content: Buffer;
}

const KINDS: Readonly<Record<number, ImageEntry["kind"]>> = {
  8: "file",
  4: "directory",
  10: "symlink",
  2: "char",
};
const HEADER_BYTES = 110;

export function readImage(path: string): ImageEntry[] {
  return splitFrames(readFileSync(path)).flatMap(readArchive);
}

function splitFrames(image: Buffer): Buffer[] {
  const archives: Buffer[] = [];
  let at = 0;
  while (at < image.length) {
    if (image[at] === 0) {
      at += 1;
      continue;
    }
    if (at % 4 !== 0) throw new Error(`An archive starts at ${at}, which is no multiple of four`);
    const rest = image.subarray(at);
    const frame = rest.subarray(0, zstd.findFrameCompressedSize(rest));
    const archive = Buffer.alloc(Number(zstd.getFrameContentSize(frame)));
    new zstd.DCtx().decompress(archive, frame);
    archives.push(archive);
    at += frame.length;
  }
  return archives;
}

function readArchive(archive: Buffer): ImageEntry[] {
  const entries: ImageEntry[] = [];
  const align = (offset: number) => Math.ceil(offset / 4) * 4;
  for (let at = 0; ; ) {
    const field = (index: number) =>
      Number.parseInt(archive.toString("latin1", at + 6 + index * 8, at + 14 + index * 8), 16);
    const nameEnd = at + HEADER_BYTES + field(11);
    const path = archive.toString("utf8", at + HEADER_BYTES, nameEnd - 1);
    if (path === "TRAILER!!!") return entries;
    const start = align(nameEnd);
    const content = archive.subarray(start, start + field(6));
    const mode = field(1);
    entries.push({ path, kind: KINDS[mode >> 12]!, mode: mode & 0o7777, mtimeSec: field(5), content });
    at = align(start + content.length);
  }
}

/** Files, links and folders below `root`; devices are left out. */
export function unpackImage(image: string, root: string): void {
  for (const { path, kind, mode, content } of readImage(image)) {
    const target = join(root, path);
    if (kind === "directory") mkdirSync(target, { recursive: true });
    else if (kind === "symlink") symlinkSync(content.toString(), target);
    else if (kind === "file") writeFileSync(target, content, { mode });
  }
}
