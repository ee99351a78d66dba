/**
 * The cache of things that are costly to make: one folder each, named for what it is and the hash of its recipe.
 * An entry appears by a rename, so it is whole or absent; makers wait for each other on a kernel lock that dies with them.
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
  /** False when an earlier run had made it. */
  isNew: boolean;
}

export interface CacheRecipe {
  /** First part of the folder's name. */
  name: string;
  /** Everything that decides the content: another recipe is another entry. */
  recipe: unknown;
  /** Fills the folder at `path`, which is thrown away should this fail. */
  fill: (path: string) => Promise<void>;
}

/** Where all entries are: $DUTBOOT_CACHE, or `dutboot` in the user's cache folder. */
function locateCache(): string {
  const own = process.env["DUTBOOT_CACHE"];
  return own || join(process.env["XDG_CACHE_HOME"] || join(homedir(), ".cache"), "dutboot");
}

/** Gives the entry of this recipe, made now if it is missing; others who want it meanwhile wait. */
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
    // We hold the lock: whatever half-made folder is here was left by a maker that died.
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

/** Removes what a maker left, and never through a mount: a root may have been left with a live /sys in it. */
export async function removeTree(path: string): Promise<void> {
  await runProcess(["rm", "-rf", "--one-file-system", "--", path]);
}

/** Waits for the lock; flock(1) holds it until its stdin closes, which it also does when this process dies. */
async function lockFile(path: string, signal?: AbortSignal): Promise<() => void> {
  signal?.throwIfAborted();
  const holder = spawn("flock", ["--exclusive", path, "sh", "-c", "echo locked; exec cat"], {
    // A group of its own: Ctrl-C must not take the lock away before the maker has stopped.
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
  // The holder alone keeps nobody waiting for it.
  holder.unref();
  holder.stdout.destroy();
  return release;
}
