/**
 * Joins several initrd archives into one file, as a boot loader does.
 * Linux, Documentation/driver-api/early-userspace/buffer-format.rst: archives start at a multiple of four bytes.
 */
import { createReadStream, createWriteStream } from "node:fs";
import { stat } from "node:fs/promises";
import { pipeline } from "node:stream/promises";
import { formatShellCommand } from "./qemu-command.ts";

const ALIGNMENT_BYTES = 4;
const READ_CHUNK_BYTES = 1024 * 1024;

export interface ChainLink {
  path: string;
  /** Zero bytes after the archive, to align the next one. */
  paddingBytes: number;
}

/** Writes the archives in order to `target`, which must not exist. */
export async function joinInitrds(archives: readonly string[], target: string): Promise<ChainLink[]> {
  const chain = await Promise.all(
    archives.map(async (path) => {
      const { size } = await stat(path);
      return { path, paddingBytes: (ALIGNMENT_BYTES - (size % ALIGNMENT_BYTES)) % ALIGNMENT_BYTES };
    }),
  );
  async function* bytes() {
    for (const { path, paddingBytes } of chain) {
      yield* createReadStream(path, { highWaterMark: READ_CHUNK_BYTES });
      yield Buffer.alloc(paddingBytes);
    }
  }
  // Archives may contain credentials, so only the owner may read the file.
  await pipeline(bytes, createWriteStream(target, { flags: "wx", mode: 0o600 }));
  return chain;
}

/** The same as a shell command. */
export function formatJoinCommand(chain: readonly ChainLink[], target: string): string {
  const parts = chain.flatMap(({ path, paddingBytes }) => [
    formatShellCommand(["cat", path]),
    ...(paddingBytes > 0 ? [`head -c ${paddingBytes} /dev/zero`] : []),
  ]);
  return `{ ${parts.join("; ")}; } > ${formatShellCommand([target])}`;
}
