/**
 * A cache for results that take long to build: one folder per entry, named after its kind and the hash of its recipe.
 * An entry appears by a rename, so it is complete or absent. Builders of the same entry wait on a kernel lock.
 */
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, rename } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { runProcess } from "./run-process.ts";

export interface CacheEntry {
  path: string;
  /** False if an earlier run built it. */
  isNew: boolean;
}

export interface CacheRecipe {
  /** First part of the folder's name. */
  name: string;
  /** Everything that determines the content; a different recipe is a different entry. */
  recipe: unknown;
  /** Fills the folder at `path`; if it fails, the folder is deleted. */
  fill: (path: string) => Promise<void>;
}

/** The folder of all entries: $DUTBOOT_CACHE, or `dutboot` in the user's cache folder. */
function locateCache(): string {
  const own = process.env["DUTBOOT_CACHE"];
  return own || join(process.env["XDG_CACHE_HOME"] || join(homedir(), ".cache"), "dutboot");
}

/** Returns the entry of this recipe and builds it if it is missing. Concurrent callers wait. */
export async function ensureCacheEntry(
  { name, recipe, fill }: CacheRecipe,
  options: { signal?: AbortSignal } = {},
): Promise<CacheEntry> {
  const hash = createHash("sha256").update(JSON.stringify(recipe)).digest("hex").slice(0, 12);
  const cache = locateCache();
  const path = join(cache, `${name}-${hash}`);
  if (existsSync(path)) return { path, isNew: false };
  await mkdir(cache, { recursive: true });
  const unlock = await lockFile(join(cache, `${name}-${hash}.lock`), options.signal);
  try {
    if (existsSync(path)) return { path, isNew: false };
    // We hold the lock, so an incomplete folder was left by a builder that died.
    const leftovers = (await readdir(cache)).filter((entry) => entry.startsWith(`${name}-${hash}.new-`));
    await Promise.all(leftovers.map((entry) => removeTree(join(cache, entry))));
    const unfinished = await mkdtemp(`${path}.new-`);
    try {
      await fill(unfinished);
      options.signal?.throwIfAborted();
      await rename(unfinished, path);
    } catch (error) {
      await removeTree(unfinished);
      throw error;
    }
    return { path, isNew: true };
  } finally {
    unlock();
  }
}

/** Deletes an incomplete folder, but nothing below a mount: a root may still have a mounted /sys. */
export async function removeTree(path: string): Promise<void> {
  await runProcess(["rm", "-rf", "--one-file-system", "--", path]);
}

/** Waits for the lock. flock(1) holds it until its stdin closes, also when this process dies. */
async function lockFile(path: string, signal?: AbortSignal): Promise<() => void> {
  signal?.throwIfAborted();
  const holder = spawn("flock", ["--exclusive", path, "sh", "-c", "echo locked; exec cat"], {
    // A separate process group: Ctrl-C must not release the lock before the builder has stopped.
    detached: true,
    stdio: ["pipe", "pipe", "inherit"],
  });
  const release = () => holder.stdin.end();
  const giveUp = () => holder.kill("SIGKILL");
  signal?.addEventListener("abort", giveUp);
  try {
    await Promise.race([
      once(holder.stdout, "data"),
      once(holder, "exit").then(([code]) => {
        signal?.throwIfAborted();
        throw new Error(`Cannot lock "${path}": flock ended with ${code}`);
      }),
    ]);
  } finally {
    signal?.removeEventListener("abort", giveUp);
  }
  // The lock holder must not keep this process alive.
  holder.unref();
  holder.stdout.destroy();
  return release;
}
