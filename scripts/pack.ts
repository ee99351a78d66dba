/**
 * `dutboot pack` packs a tar as a zstd:chunked archive: agents fetch only the parts they lack, other tools read a .tar.zst.
 * The same tar gives the same archive. Exit code 202 means an invalid tar, exit code 2 wrong arguments.
 */
import { once } from "node:events";
import { createReadStream, createWriteStream } from "node:fs";
import { rename, rm } from "node:fs/promises";
import { COMPRESSION_MAGIC_BYTES, decompress, detectCompression } from "../agent/archive/decompress.ts";
import { AgentError, EXIT_CODE_BY_BLAME } from "../agent/errors.ts";
import { type Command, type CommandInput, parseCount, UsageError } from "./command.ts";
import { type PackedArchive, packArchive } from "./pack/archive-packer.ts";
import { DEFAULT_LEVEL } from "./pack/frame-writer.ts";

const READ_BYTES = 1024 * 1024;
const MAX_LEVEL = 22;

export const packCommand: Command = {
  name: "pack",
  summary: "Pack a tar so that agents fetch only the files they lack (zstd:chunked, an ordinary .tar.zst)",
  operands: "IN.tar OUT.tar.zst",
  options: {
    level: { type: "string", value: "1..22", help: `Compression level of zstd (default: ${DEFAULT_LEVEL})` },
  },
  examples: [
    "dutboot pack install.tar install.tar.zst",
    "dutboot pack --level 12 rootfs.tar.gz rootfs.tar.zst",
  ],
  async run(input) {
    const level = readLevel(input);
    const [source, target, ...others] = input.operands;
    if (source === undefined || target === undefined || others.length > 0) {
      throw new UsageError("Cannot pack: expected the operands IN.tar and OUT.tar.zst");
    }
    try {
      const packed = await packFile(source, target, level);
      process.stdout.write(describePacked(target, packed));
      return 0;
    } catch (error) {
      if (isMissingFile(error))
        throw new UsageError(`Cannot pack "${source}": ${error.message}`, { cause: error });
      if (!(error instanceof AgentError)) throw error;
      process.stderr.write(`dutboot: ${source}: ${error.message} (${error.code})\n${error.hint}\n`);
      return EXIT_CODE_BY_BLAME[error.blame];
    }
  },
};

function readLevel(input: CommandInput): number {
  const level = parseCount("level", input.text("level") ?? String(DEFAULT_LEVEL));
  if (level > MAX_LEVEL)
    throw new UsageError(`Cannot use --level "${level}": zstd has the levels 1 to ${MAX_LEVEL}`);
  return level;
}

/** Writes to a temporary file and renames it when it is complete. */
async function packFile(source: string, target: string, level: number): Promise<PackedArchive> {
  const tar = await openTar(source);
  const partial = `${target}.partial`;
  const output = createWriteStream(partial);
  const failure = new Promise<never>((_, reject) => output.once("error", reject));
  try {
    const packing = packArchive(tar, { level });
    for (;;) {
      const step = await packing.next();
      if (step.done) {
        output.end();
        await Promise.race([once(output, "close"), failure]);
        await rename(partial, target);
        return step.value;
      }
      if (!output.write(step.value)) await Promise.race([once(output, "drain"), failure]);
    }
  } catch (error) {
    output.destroy();
    await rm(partial, { force: true });
    throw error;
  }
}

async function openTar(path: string): Promise<AsyncIterable<Buffer>> {
  const kind = detectCompression(await readStart(path));
  if (kind === "xz") {
    throw new AgentError("ARCHIVE_UNKNOWN_FORMAT", `Cannot pack "${path}": it is compressed with xz`, {
      hint: "Decompress it first: xz -d",
    });
  }
  return decompress(kind, createReadStream(path, { highWaterMark: READ_BYTES }));
}

async function readStart(path: string): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of createReadStream(path, { end: COMPRESSION_MAGIC_BYTES - 1 }))
    parts.push(part as Buffer);
  return Buffer.concat(parts);
}

function isMissingFile(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && "syscall" in error && "code" in error;
}

function describePacked(target: string, packed: PackedArchive): string {
  const share = ((100 * packed.sizeBytes) / Math.max(1, packed.tarBytes)).toFixed(1);
  return [
    `${target}: ${packed.files} files, ${packed.sizeBytes} bytes, ${share} % of the tar`,
    `archive  ${packed.digest}`,
    `tar      ${packed.diffId}`,
    `table    ${packed.positions.tocDigest} (toc= of dut.artifact)`,
    "",
  ].join("\n");
}
