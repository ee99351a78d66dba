/**
 * A part of the image as bytes: a separate cpio archive, compressed and padded, cached by its content.
 * The kernel unpacks concatenated archives, so an edit of the agent compresses 2 MB and not Node's 109 MB.
 */
import { createHash } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { fillCached } from "./build-cache.ts";
import { type CpioEntry, formatCpio } from "./cpio-writer.ts";
import { readPin } from "./project.ts";

/** Bump when the settings in compress-worker.ts change. */
const RECIPE = 1;
/** Built once and fetched at every boot, so the smallest size counts. */
export const SMALLEST_LEVEL = 22;
/** A sixth larger than the smallest image, in a tenth of the time. */
export const QUICK_LEVEL = 9;
/** Archives start at a multiple of four bytes (buffer-format.rst). */
const ALIGNMENT_BYTES = 4;

export interface Segment {
  name: string;
  bytes: Buffer;
  /** Size before compression. */
  rawBytes: number;
  reused: boolean;
}

export async function compressSegment(
  name: string,
  entries: readonly CpioEntry[],
  level: number,
): Promise<Segment> {
  const archive = formatCpio(entries);
  const hash = createHash("sha256").update(archive).digest("hex");
  const key = { hash, level, compressor: readPin("zstd-napi"), recipe: RECIPE };
  const { path, reused } = await fillCached({ kind: `segment-${name}`, key }, async (folder) => {
    await writeFile(join(folder, "cpio.zst"), padToAlignment(await compress(archive, level)));
  });
  return { name, bytes: await readFile(join(path, "cpio.zst")), rawBytes: archive.length, reused };
}

function padToAlignment(bytes: Uint8Array): Buffer {
  const rest = (ALIGNMENT_BYTES - (bytes.length % ALIGNMENT_BYTES)) % ALIGNMENT_BYTES;
  return Buffer.concat([bytes, Buffer.alloc(rest)]);
}

function compress(source: Buffer, level: number): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL("./compress-worker.ts", import.meta.url), {
      workerData: { source, level },
    });
    worker.once("message", resolve);
    worker.once("error", reject);
    worker.once("exit", () =>
      reject(new Error("Cannot compress a part of the image: the worker ended early")),
    );
  });
}
