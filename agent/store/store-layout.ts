/**
 * The store's place on a file system, in the layout of composefs repositories: objects by fs-verity digest, images beside them.
 * The format's version is part of the folder's name, so that another version, older or newer, is left alone and never wiped.
 */
import {
  closeSync,
  constants,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { DIGEST_BYTES, DigestTable, isNoDigest, readDigest } from "../archive/digest-table.ts";
import { AgentError } from "../errors.ts";
import { tryLock } from "../kernel/syscalls.ts";

/** Counts changes that an older agent would misread. */
const FORMAT_VERSION = 1;
/** Of objects, by their first byte. */
const FOLDERS = 256;

export interface StoreLayout {
  path: string;
  /** Holds nothing but `00` to `ff`: an overlay without data-only layers (Linux < 6.5) shows whatever else is here. */
  objects: string;
  images: string;
  trees: string;
  references: string;
  tables: string;
  index: string;
  smalls: string;
  /** Of boots that have not ended, and what they have not uploaded. */
  journals: string;
  pending: string;
  /** Half-written things; whatever is here at the start was cut off. */
  staging: string;
  /** Told what was found damaged and dropped. */
  onDamage: (what: string) => void;
  /** Releases the lock. */
  close(): void;
}

export interface OpenedPlace {
  place: StoreLayout;
  /** Names of half-written things that a power cut or a crash left and that were dropped. */
  dropped: string[];
}

/** Creates what is missing, takes the one writer's lock and drops what a cut left. Throws STORE_LOCKED. */
export function openStoreLayout(
  mountPath: string,
  { onDamage = () => {} }: Partial<Pick<StoreLayout, "onDamage">> = {},
): OpenedPlace {
  const path = join(mountPath, `dutboot-store-${FORMAT_VERSION}`);
  const place = {
    path,
    objects: join(path, "objects"),
    images: join(path, "images"),
    trees: join(path, "trees"),
    references: join(path, "references"),
    tables: join(path, "tables"),
    index: join(path, "index"),
    smalls: join(path, "smalls"),
    journals: join(path, "journals"),
    pending: join(path, "pending"),
    staging: join(path, "staging"),
  };
  for (const folder of Object.values(place)) mkdirSync(folder, { recursive: true });
  const lockFd = openSync(join(path, "lock"), constants.O_RDWR | constants.O_CREAT, 0o600);
  if (!tryLock(lockFd)) {
    closeSync(lockFd);
    throw new AgentError(
      "STORE_LOCKED",
      `Cannot write to the store in "${mountPath}": another agent has its lock`,
    );
  }
  writeFileSync(join(path, "lock"), `${process.pid}\n`);
  for (let byte = 0; byte < FOLDERS; byte++) {
    mkdirSync(join(place.objects, byte.toString(16).padStart(2, "0")), { recursive: true });
  }
  const dropped = readdirSync(place.staging);
  for (const name of dropped) rmSync(join(place.staging, name), { recursive: true, force: true });
  return { place: { ...place, onDamage, close: () => closeSync(lockFd) }, dropped };
}

/** Where an object lies, relative to the objects folder: what composefs images redirect to. */
export function pathOfObject(verityDigest: string): string {
  return `${verityDigest.slice(0, 2)}/${verityDigest.slice(2)}`;
}

/** Digests of all objects that are here. */
export function listObjects({ objects }: Pick<StoreLayout, "objects">): string[] {
  return readdirSync(objects).flatMap((prefix) =>
    readdirSync(join(objects, prefix)).map((rest) => prefix + rest),
  );
}

/** The same digests as bytes. */
export function tabulateObjects({ objects }: Pick<StoreLayout, "objects">): DigestTable {
  const table = new DigestTable();
  const digest = Buffer.alloc(DIGEST_BYTES);
  for (const prefix of readdirSync(objects)) {
    for (const rest of readdirSync(join(objects, prefix))) {
      digest.write(prefix, 0, "hex");
      digest.write(rest, 1, "hex");
      table.add(digest);
    }
  }
  return table;
}

/** Tells of `questions` digests whether their objects are here: for thousands a look at the folders is cheaper than one at each file. */
export function createObjectFinder(
  place: Pick<StoreLayout, "objects">,
  questions: number,
): (verities: Buffer, number: number) => boolean {
  if (questions <= FOLDERS)
    return (verities, number) =>
      !isNoDigest(verities, number) &&
      existsSync(join(place.objects, pathOfObject(readDigest(verities, number))));
  const here = tabulateObjects(place);
  return (verities, number) => here.find(verities, number * DIGEST_BYTES) >= 0;
}

export function hasObjects({ objects }: Pick<StoreLayout, "objects">): boolean {
  return readdirSync(objects).some((prefix) => readdirSync(join(objects, prefix)).length > 0);
}

/** Puts a folder's entries on the disk, so that a rename in it survives a power cut. */
export function syncFolder(path: string): void {
  const fd = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
