/**
 * The store's folders on a file system, in the layout of composefs repositories: objects by fs-verity digest, images
 * beside them. The name of the top folder has the format's version; the folder of another version is left alone.
 */
import {
  closeSync,
  constants,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { DIGEST_BYTES, DigestTable } from "../archive/digests.ts";
import { AgentError } from "../errors.ts";
import { syncfs, tryLock } from "../kernel/syscalls.ts";

/** Counts changes that an older agent would misread. */
const FORMAT_VERSION = 1;
/** One for each first byte of an object's digest. */
export const OBJECT_FOLDERS = 256;

const FOLDERS = [
  /** Only `00` to `ff`: an overlay without data-only layers (Linux < 6.5) shows everything in it. */
  "objects",
  "images",
  "trees",
  "references",
  /** TOCs and tar-splits. */
  "tables",
  "index",
  "smalls",
  /** Of boots that have not ended, with what they have not uploaded in `pending`. */
  "journals",
  "pending",
  /** Incomplete writes, which are deleted at the next start. */
  "staging",
] as const;

export interface StoreLayout extends Record<(typeof FOLDERS)[number], string> {
  path: string;
  /** Called with the name of a file that was damaged and is deleted. */
  onDamage: (what: string) => void;
  /** Releases the lock. */
  close(): void;
}

/** Creates what is missing, locks the store and deletes incomplete writes, which are `dropped`. Throws STORE_LOCKED. */
export function openStoreLayout(
  mountPath: string,
  { onDamage = () => {} }: Partial<Pick<StoreLayout, "onDamage">> = {},
): { layout: StoreLayout; dropped: string[] } {
  const path = join(mountPath, `dutboot-store-${FORMAT_VERSION}`);
  const folders = Object.fromEntries(FOLDERS.map((name) => [name, join(path, name)])) as Record<
    (typeof FOLDERS)[number],
    string
  >;
  for (const folder of Object.values(folders)) mkdirSync(folder, { recursive: true });
  const lockFd = openSync(join(path, "lock"), constants.O_RDWR | constants.O_CREAT, 0o600);
  if (!tryLock(lockFd)) {
    closeSync(lockFd);
    throw new AgentError(
      "STORE_LOCKED",
      `Cannot open the store in "${mountPath}": another agent has locked it`,
    );
  }
  writeFileSync(join(path, "lock"), `${process.pid}\n`);
  for (let byte = 0; byte < OBJECT_FOLDERS; byte++)
    mkdirSync(join(folders.objects, byte.toString(16).padStart(2, "0")), { recursive: true });
  const dropped = readdirSync(folders.staging);
  for (const name of dropped) rmSync(join(folders.staging, name), { recursive: true, force: true });
  return { layout: { path, ...folders, onDamage, close: () => closeSync(lockFd) }, dropped };
}

/** Digests of all objects. */
export function listObjects({ objects }: Pick<StoreLayout, "objects">): string[] {
  return readdirSync(objects).flatMap((prefix) =>
    readdirSync(join(objects, prefix)).map((rest) => prefix + rest),
  );
}

export function tabulateObjects({ objects }: Pick<StoreLayout, "objects">): DigestTable {
  const table = new DigestTable();
  const digest = Buffer.alloc(DIGEST_BYTES);
  for (const prefix of readdirSync(objects)) {
    for (const rest of readdirSync(join(objects, prefix))) {
      digest.write(prefix, 0, "hex");
      digest.write(rest, 1, "hex");
      table.add(digest, 0);
    }
  }
  return table;
}

export function hasObjects({ objects }: Pick<StoreLayout, "objects">): boolean {
  return readdirSync(objects).some((prefix) => readdirSync(join(objects, prefix)).length > 0);
}

/** Resolves when all earlier writes to the store are on the disk. */
export async function flushStore({ path }: StoreLayout): Promise<void> {
  const fd = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await syncfs(fd);
  } finally {
    closeSync(fd);
  }
}

/** Flushes a folder's entries, so that a rename in it survives a power cut. */
export function syncFolder(path: string): void {
  const fd = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
