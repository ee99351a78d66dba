/**
 * The object store: each content once, under its fs-verity digest, with records for trees and images. What was committed
 * survives a power cut.
 */
import { hash } from "node:crypto";
import {
  closeSync,
  constants,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { DIGEST_BYTES, DigestTable, isNoDigest, readDigest } from "../archive/digests.ts";
import { computeFsVerityDigest } from "../composefs/fsverity.ts";
import {
  formatObjectPath,
  type ObjectRepository,
  type StagedObjects,
  type TreeRecord,
} from "../composefs/object-repository.ts";
import { enableVerity, isKernelError, measureVerity, VerityHasher } from "../kernel/syscalls.ts";
import { READ_CHUNK_BYTES } from "../limits.ts";
import { DigestIndex, indexObjects } from "./digest-index.ts";
import { openInlineContents } from "./inline-contents.ts";
import { SEALS_AT_A_TIME, TABLES_MAX_BYTES } from "./limits.ts";
import { deleteRecord, putLosableRecord, readRecordIfExists, renameRecord, stageRecord } from "./records.ts";
import { flushStore, hasObjects, OBJECT_FOLDERS, type StoreLayout, tabulateObjects } from "./store-layout.ts";

export interface ObjectStore extends ObjectRepository {
  readonly layout: StoreLayout;
  /** `trustsSeals: false` reads every byte. */
  check(verities: Iterable<string>, options?: { trustsSeals?: boolean }): Promise<{ lost: string[] }>;
}

/** Earlier formats of trees had other suffixes. */
const TREE_SUFFIX = ".members";
/** A long check lets other work run after this time. */
const CHECK_SLICE_MS = 50;

export async function openObjectStore(layout: StoreLayout): Promise<ObjectStore> {
  const index = new DigestIndex(layout);
  const inlineContents = openInlineContents(layout);
  const seals = await canSeal(layout.staging);
  let stagings = 0;
  let isEmpty = true;
  let indexing: ReturnType<ObjectStore["indexFiles"]> | undefined;

  const objectPath = (verity: string) => `${layout.objects}/${formatObjectPath(verity)}`;
  const createStaging = () => {
    const path = join(layout.staging, `batch-${process.pid}-${stagings++}`);
    mkdirSync(path);
    return path;
  };

  const check: ObjectStore["check"] = async (verities, { trustsSeals = true } = {}) => {
    const lost: string[] = [];
    const buffer = Buffer.allocUnsafeSlow(READ_CHUNK_BYTES);
    let sliceStart = performance.now();
    for (const verity of verities) {
      const state = verifyObject(objectPath(verity), verity, { buffer, trustsSeals });
      if (state === "damaged") rmSync(objectPath(verity), { force: true });
      if (state === "damaged" || state === "missing") lost.push(verity);
      if (performance.now() - sliceStart > CHECK_SLICE_MS) {
        await new Promise((resolve) => setImmediate(resolve));
        sliceStart = performance.now();
      }
    }
    return { lost };
  };

  /** Whether the object is in the store and undamaged. */
  const hasSound = async (verity: string, trustsSeals: boolean) => {
    if (!existsSync(objectPath(verity))) return false;
    const { lost } = await check([verity], { trustsSeals });
    if (lost.length > 0) layout.onDamage(`object ${verity}`);
    return lost.length === 0;
  };

  /** Indexes of the objects to keep; deletes the files of others. */
  const chooseFresh = async ({ folder, verities }: StagedObjects, trustsSeals: boolean) => {
    const digests = toBuffer(verities);
    const seen = new DigestTable();
    const fresh: number[] = [];
    const isBare = !hasObjects(layout);
    for (let number = 0; number < digests.length / DIGEST_BYTES; number++) {
      const isFirst = seen.add(digests, number);
      const isFresh = isFirst && (isBare || !(await hasSound(readDigest(digests, number), trustsSeals)));
      if (isFresh) fresh.push(number);
      else rmSync(join(folder, String(number)), { force: true });
    }
    return fresh;
  };

  const stageTree = ({ id, content, objects }: TreeRecord) => [
    // The list of objects first: without it, garbage collection would delete the objects of the tree.
    stageRecord(layout, layout.trees, `${id}.objects`, objects),
    stageRecord(layout, layout.trees, `${id}${TREE_SUFFIX}`, content),
  ];

  const keep = async (
    staged: StagedObjects,
    trees: readonly TreeRecord[],
    { flushesNames = true, trustsSeals = true } = {},
  ) => {
    const fresh = await chooseFresh(staged, trustsSeals);
    const records = trees.flatMap(stageTree);
    if (fresh.length + records.length > 0) {
      const pathOf = (number: number) => `${staged.folder}/${number}`;
      if (seals) await sealAll(fresh.map(pathOf));
      await flushStore(layout);
      const verities = toBuffer(staged.verities);
      // Without a journal, renames may reach the disk in any order; the check before each use notices.
      for (const number of fresh) renameSync(pathOf(number), objectPath(readDigest(verities, number)));
      records.forEach(renameRecord);
      if (flushesNames) await flushStore(layout);
    }
    if (staged.sha256s) index.add(toBuffer(staged.sha256s), toBuffer(staged.verities));
  };

  return {
    layout,
    objectsDir: layout.objects,
    seals,
    get isEmpty() {
      isEmpty &&= !hasObjects(layout);
      return isEmpty;
    },
    findBySha256(sha256s) {
      const verities = index.find(sha256s);
      const count = sha256s.length / DIGEST_BYTES;
      // For thousands of files, listing the folders is cheaper than a look-up of each.
      const here = count > OBJECT_FOLDERS ? tabulateObjects(layout) : undefined;
      for (let number = 0; number < count; number++) {
        if (isNoDigest(verities, number)) continue;
        const isHere = here
          ? here.find(verities, number) >= 0
          : existsSync(objectPath(readDigest(verities, number)));
        if (!isHere) verities.fill(0, number * DIGEST_BYTES, (number + 1) * DIGEST_BYTES);
      }
      return verities;
    },
    // Concurrent pulls share the work.
    indexFiles: () => {
      indexing ??= indexObjects(layout, index).finally(() => {
        indexing = undefined;
      });
      return indexing;
    },
    createStaging,
    commit: (staged, trees = []) => keep(staged, trees),
    readTreeIfExists: (id) => readRecordIfExists(layout, layout.trees, `${id}${TREE_SUFFIX}`),
    addInlineContents: inlineContents.add,
    findInlineContent: inlineContents.find,
    putTable(id, content) {
      putLosableRecord(layout, layout.tables, id, content);
      deleteOldTables(layout);
    },
    listTables: (prefix) => listTables(layout).filter(({ id }) => id.startsWith(prefix)),
    readTableIfExists: (id) => readRecordIfExists(layout, layout.tables, id),
    async putImage(content) {
      const verities = computeFsVerityDigest(content);
      const sha256s = hash("sha256", content, "buffer");
      const folder = createStaging();
      writeFileSync(join(folder, "0"), content, { mode: 0o600 });
      // Every byte is checked: a damaged image would fail the mount at every boot.
      // No flush: an image that is lost is made again from its trees.
      await keep({ folder, verities, sha256s }, [], { flushesNames: false, trustsSeals: false });
      rmSync(folder, { recursive: true, force: true });
      const digest = verities.toString("hex");
      const link = join(layout.images, digest);
      if (!existsSync(link)) symlinkSync(`../objects/${formatObjectPath(digest)}`, link);
      return { digest, path: objectPath(digest) };
    },
    check,
  };
}

function listTables({ tables }: StoreLayout): { id: string; sizeBytes: number; writtenMs: number }[] {
  return readdirSync(tables).map((id) => {
    const { size, mtimeMs } = statSync(join(tables, id));
    return { id, sizeBytes: size, writtenMs: mtimeMs };
  });
}

/** The oldest ones above the limit. */
function deleteOldTables(layout: StoreLayout): void {
  let keptBytes = 0;
  for (const { id, sizeBytes } of listTables(layout).sort((a, b) => b.writtenMs - a.writtenMs)) {
    keptBytes += sizeBytes;
    if (keptBytes > TABLES_MAX_BYTES) deleteRecord(join(layout.tables, id));
  }
}

function toBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
}

/** Tries it with a file; ext4 without the feature, tmpfs and kernels without fs-verity refuse. */
async function canSeal(folder: string): Promise<boolean> {
  const path = join(folder, "seal-probe");
  writeFileSync(path, "dutboot");
  try {
    await seal(path);
    return true;
  } catch (error) {
    if (isKernelError(error, "ENOTTY", "ENOTSUP", "EINVAL")) return false;
    throw error;
  } finally {
    rmSync(path, { force: true });
  }
}

/** The files must be closed. The kernel hashes them again. */
async function sealAll(paths: Iterable<string>): Promise<void> {
  const waiting = paths[Symbol.iterator]();
  const sealNext = async () => {
    for (let next = waiting.next(); !next.done; next = waiting.next()) await seal(next.value);
  };
  await Promise.all(Array.from({ length: SEALS_AT_A_TIME }, sealNext));
}

async function seal(path: string): Promise<void> {
  const fd = openSync(path, constants.O_RDONLY);
  try {
    await enableVerity(fd);
  } finally {
    closeSync(fd);
  }
}

type ObjectState = "intact" | "damaged" | "missing";

/**
 * Verifies an object by its fs-verity seal if it has one, else by hashing its content. A trusted seal saves reading the file: the kernel checks every read, so damage is a read error later, never wrong bytes.
 */
function verifyObject(
  path: string,
  verityDigest: string,
  { buffer, trustsSeals }: { buffer: Buffer; trustsSeals: boolean },
): ObjectState {
  let fd: number;
  try {
    fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return "missing";
    throw error;
  }
  try {
    const seal = readSeal(fd);
    if (seal !== undefined && seal !== verityDigest) return "damaged";
    if (seal !== undefined && trustsSeals) return "intact";
    const hasher = new VerityHasher();
    for (;;) {
      const length = readSync(fd, buffer, 0, buffer.length, null);
      if (length === 0) break;
      hasher.update(buffer.subarray(0, length));
    }
    return hasher.digest() === verityDigest ? "intact" : "damaged";
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EIO") return "damaged";
    throw error;
  } finally {
    closeSync(fd);
  }
}

function readSeal(fd: number): string | undefined {
  try {
    return measureVerity(fd).digest.toString("hex");
  } catch (error) {
    if (isKernelError(error, "ENODATA", "ENOTTY", "ENOTSUP")) return undefined;
    throw error;
  }
}
