/**
 * The test job's artifact, in Mesa's form: a tar archive with one top folder `install/`, compressed with zstd.
 * Its files are in `install/` next to this file.
 */
import { createHash } from "node:crypto";
import { createReadStream, createWriteStream } from "node:fs";
import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { createZstdCompress } from "node:zlib";
import { pack } from "tar-stream";
import { ensureCacheEntry } from "../cache-entry.ts";

export interface TestArtifact {
  /** `install.tar.zst` */
  path: string;
  sha256: string;
}

/** Returns the artifact and builds it if its files have changed. */
export async function ensureTestArtifact(options: { signal?: AbortSignal } = {}): Promise<TestArtifact> {
  const folder = join(import.meta.dirname, "install");
  const files = await Promise.all(
    (await readdir(folder)).sort().map(async (name) => {
      const mode = (await stat(join(folder, name))).mode & 0o777;
      return { name: `install/${name}`, mode, content: await readFile(join(folder, name), "utf8") };
    }),
  );
  const { path } = await ensureCacheEntry(
    {
      name: "test-artifact",
      recipe: files,
      fill: async (target) => {
        const archive = pack();
        archive.entry({ name: "install/", type: "directory", mode: 0o755, mtime: new Date(0) });
        for (const { name, mode, content } of files)
          archive.entry({ name, mode, mtime: new Date(0) }, content);
        archive.finalize();
        await pipeline(archive, createZstdCompress(), createWriteStream(join(target, "install.tar.zst")));
      },
    },
    options,
  );
  const archivePath = join(path, "install.tar.zst");
  return { path: archivePath, sha256: await hashFile(archivePath) };
}

async function hashFile(path: string): Promise<string> {
  const hash = createHash("sha256");
  await pipeline(createReadStream(path), hash);
  return hash.digest("hex");
}
