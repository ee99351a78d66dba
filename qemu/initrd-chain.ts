/**
 * Several initrd archives as one file, the way a boot loader concatenates them.
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
  /** Zero bytes after it, so that the next one is aligned. */
  paddingBytes: number;
}

/** Writes the archives one after the other to `target`, which must not exist. */
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
  // Archives may carry credentials: the file is for its owner.
  await pipeline(bytes, createWriteStream(target, { flags: "wx", mode: 0o600 }));
  return chain;
}

/** The same as a shell command, for people who boot a run again by hand. */
export function formatJoinCommand(chain: readonly ChainLink[], target: string): string {
  const parts = chain.flatMap(({ path, paddingBytes }) => [
    formatShellCommand(["cat", path]),
    ...(paddingBytes > 0 ? [`head -c ${paddingBytes} /dev/zero`] : []),
  ]);
  return `{ ${parts.join("; ")}; } > ${formatShellCommand([target])}`;
}
