/**
 * A cache of folders, each named after the hash of its inputs.
 * A folder is filled under a lock and then renamed into place, so that parallel builds share it and never see a part of it.
 */
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, rename, rm, stat, utimes, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

const LOCK_POLL_MS = 200;
const HASH_CHARACTERS = 24;
const UNUSED_MAX_AGE_MS = 30 * 24 * 60 * 60 * 1000;
const ENTRY_NAME = /-[0-9a-f]{24}$/;

export function cacheFolder(): string {
  const { DUTBOOT_CACHE, XDG_CACHE_HOME } = process.env;
  return DUTBOOT_CACHE || join(XDG_CACHE_HOME || join(homedir(), ".cache"), "dutboot");
}

export interface CacheEntry {
  /** First part of the folder's name. */
  kind: string;
  /** Everything that the content depends on; files by their hashes. */
  key: unknown;
}

export interface CachedFolder {
  path: string;
  reused: boolean;
}

/** Returns the folder of `entry`; calls `fill` if it does not exist. */
export async function fillCached(
  { kind, key }: CacheEntry,
  fill: (folder: string) => Promise<void>,
): Promise<CachedFolder> {
  const hash = hashOf(JSON.stringify(key)).slice(0, HASH_CHARACTERS);
  const path = join(cacheFolder(), `${kind}-${hash}`);
  if (existsSync(path)) {
    const now = new Date();
    await utimes(path, now, now);
    return { path, reused: true };
  }
  return withLock(`${path}.lock`, async () => {
    if (existsSync(path)) return { path, reused: true };
    // We hold the lock, so an existing draft was left by a killed build.
    const draft = `${path}.draft`;
    await rm(draft, { recursive: true, force: true });
    await mkdir(draft, { recursive: true });
    try {
      await fill(draft);
      await rename(draft, path);
    } finally {
      await rm(draft, { recursive: true, force: true });
    }
    return { path, reused: false };
  });
}

/** Deletes entries that no build has used for a month: each edit of the agent adds one. */
export async function pruneCache(kinds: readonly string[], maxAgeMs = UNUSED_MAX_AGE_MS): Promise<void> {
  for (const name of await readdir(cacheFolder())) {
    const path = join(cacheFolder(), name);
    if (!kinds.some((kind) => name.startsWith(`${kind}-`)) || !ENTRY_NAME.test(name)) continue;
    const { mtimeMs } = await stat(path);
    if (Date.now() - mtimeMs > maxAgeMs) await rm(path, { recursive: true, force: true });
  }
}

export function hashOf(content: string | Buffer): string {
  return createHash("sha256").update(content).digest("hex");
}

/** Runs `work` while no other process of this machine holds the lock file. */
export async function withLock<T>(lock: string, work: () => Promise<T>): Promise<T> {
  await mkdir(join(lock, ".."), { recursive: true });
  for (;;) {
    try {
      await writeFile(lock, String(process.pid), { flag: "wx" });
      break;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
      if (await isAbandoned(lock)) await rm(lock, { force: true });
      else await sleep(LOCK_POLL_MS);
    }
  }
  try {
    return await work();
  } finally {
    await rm(lock, { force: true });
  }
}

async function isAbandoned(lock: string): Promise<boolean> {
  const pid = Number(await readFile(lock, "utf8").catch(() => ""));
  if (!pid) return false; // being written, or just deleted
  try {
    process.kill(pid, 0);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "ESRCH";
  }
}
