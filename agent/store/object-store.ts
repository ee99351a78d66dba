/**
 * The object store: every file's content once, named by its fs-verity digest, put so that a power cut loses nothing
 * that was promised. What the objects mean (trees, images) is kept as records beside them.
 */
import { hash } from "node:crypto";
import {
  closeSync,
  constants,
  existsSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { DIGEST_BYTES, DigestTable, listDigests, readDigest } from "../archive/digest-table.ts";
import { computeFsVerityDigest } from "../composefs/fsverity.ts";
import type { ObjectRepository, StagedObjects, TreeRecord } from "../composefs/object-repository.ts";
import { syncfs } from "../kernel/syscalls.ts";
import { openDigestIndex } from "./digest-index.ts";
import { indexObjects } from "./index-objects.ts";
import { openSmallContents } from "./inline-contents.ts";
import { placeRecord, putLosableRecord, readRecordIfExists, stageRecord } from "./records.ts";
import { canSeal, sealAll } from "./seal.ts";
import { createObjectFinder, hasObjects, pathOfObject, type StoreLayout } from "./store-layout.ts";
import { dropOldTables, listTables } from "./toc-cache.ts";
import { createVerifyBuffer, verifyObject } from "./verify-object.ts";

export interface CheckResult {
  checked: number;
  sealed: number;
  /** Digests of objects that were missing or wrong; the wrong ones are gone now. */
  lost: string[];
}

export interface ObjectStore extends ObjectRepository {
  readonly place: StoreLayout;
  readTreeObjects(id: string): string[];
  /** Without trust in seals every byte is read. */
  check(verities: Iterable<string>, options?: { trustsSeals?: boolean }): Promise<CheckResult>;
}

/** Trees of another form had other suffixes: no agent reads what it would misunderstand. */
const TREE_SUFFIX = ".members";
/** Between two pauses of a long check, so that signals and the console are served. */
const CHECK_SLICE_MS = 50;

export async function openObjectStore(place: StoreLayout): Promise<ObjectStore> {
  const index = openDigestIndex(place);
  const smalls = openSmallContents(place);
  const seals = await canSeal(place.staging);
  let stagings = 0;
  let isEmpty = true;
  let indexing: ReturnType<ObjectStore["indexFiles"]> | undefined;

  const objectPath = (verity: string) => `${place.objects}/${pathOfObject(verity)}`;
  const flush = async () => {
    const fd = openSync(place.path, constants.O_RDONLY | constants.O_DIRECTORY);
    try {
      await syncfs(fd);
    } finally {
      closeSync(fd);
    }
  };

  const createStaging = () => {
    const path = join(place.staging, `batch-${process.pid}-${stagings++}`);
    mkdirSync(path);
    return path;
  };

  const check: ObjectStore["check"] = async (verities, { trustsSeals = true } = {}) => {
    const result: CheckResult = { checked: 0, sealed: 0, lost: [] };
    const buffer = createVerifyBuffer();
    let sliceStart = performance.now();
    for (const verity of verities) {
      const state = verifyObject(objectPath(verity), verity, { buffer, trustsSeals });
      result.checked++;
      if (state === "sealed") result.sealed++;
      if (state === "damaged") rmSync(objectPath(verity), { force: true });
      if (state === "damaged" || state === "missing") result.lost.push(verity);
      if (performance.now() - sliceStart > CHECK_SLICE_MS) {
        await new Promise((resolve) => setImmediate(resolve));
        sliceStart = performance.now();
      }
    }
    return result;
  };

  /** What is here already is as good as what comes only if it is still what its name says. */
  const hasSound = async (verity: string, trustsSeals: boolean) => {
    if (!existsSync(objectPath(verity))) return false;
    const { lost } = await check([verity], { trustsSeals });
    if (lost.length > 0) place.onDamage(`object ${verity}`);
    return lost.length === 0;
  };

  /** The numbers of those that are to be kept; the files of others are removed. */
  const chooseFresh = async ({ folder, verities }: StagedObjects, trustsSeals: boolean) => {
    const digests = toBuffer(verities);
    const seen = new DigestTable();
    const fresh: number[] = [];
    const isBare = !hasObjects(place);
    for (let number = 0; number * DIGEST_BYTES < digests.length; number++) {
      const isFirst = seen.add(digests, number * DIGEST_BYTES) === seen.size - 1;
      const isFresh = isFirst && (isBare || !(await hasSound(readDigest(digests, number), trustsSeals)));
      if (isFresh) fresh.push(number);
      else rmSync(join(folder, String(number)), { force: true });
    }
    return fresh;
  };

  const stageTree = ({ id, content, objects }: TreeRecord) => [
    // The list of objects goes first: a tree whose objects are not known would not be protected from collection.
    stageRecord(place, place.trees, `${id}.objects`, objects),
    stageRecord(place, place.trees, `${id}${TREE_SUFFIX}`, content),
  ];

  /** Without a flush behind them the names reach the disk with whatever is flushed next. */
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
      await flush();
      const verities = toBuffer(staged.verities);
      // A journal keeps their order; where none does, the check before each use sees what is not there.
      for (const number of fresh) renameSync(pathOf(number), objectPath(readDigest(verities, number)));
      records.forEach(placeRecord);
      if (flushesNames) await flush();
    }
    if (staged.sha256s) index.add(toBuffer(staged.sha256s), toBuffer(staged.verities));
  };

  return {
    place,
    objectsDir: place.objects,
    seals,
    get isEmpty() {
      isEmpty &&= !hasObjects(place);
      return isEmpty;
    },
    hasObject: (verity) => existsSync(objectPath(verity)),
    findBySha256(sha256s) {
      const verities = index.find(sha256s);
      const isHere = createObjectFinder(place, verities.length / DIGEST_BYTES);
      for (let number = 0; number * DIGEST_BYTES < verities.length; number++)
        if (!isHere(verities, number)) verities.fill(0, number * DIGEST_BYTES, (number + 1) * DIGEST_BYTES);
      return verities;
    },
    // Layers that are pulled side by side wait for the same work.
    indexFiles: () => {
      indexing ??= indexObjects(place, index).finally(() => {
        indexing = undefined;
      });
      return indexing;
    },
    createStaging,
    commit: (staged, trees = []) => keep(staged, trees),
    readTreeIfExists: (id) => readRecordIfExists(place, place.trees, `${id}${TREE_SUFFIX}`),
    readTreeObjects(id) {
      const bytes = readRecordIfExists(place, place.trees, `${id}.objects`) ?? Buffer.alloc(0);
      return [...listDigests(bytes)];
    },
    addSmalls: smalls.add,
    findSmall: smalls.find,
    putTable(id, content) {
      putLosableRecord(place, place.tables, id, content);
      dropOldTables(place);
    },
    listTables: (prefix) => listTables(place, prefix),
    readTableIfExists: (id) => readRecordIfExists(place, place.tables, id),
    async putImage(content) {
      const verities = computeFsVerityDigest(content);
      const sha256s = hash("sha256", content, "buffer");
      const folder = createStaging();
      writeFileSync(join(folder, "0"), content, { mode: 0o600 });
      // Not by its seal alone: the kernel reads the image first, and would refuse the whole root at every boot.
      // An image whose name is lost is made again from its trees.
      await keep({ folder, verities, sha256s }, [], { flushesNames: false, trustsSeals: false });
      rmSync(folder, { recursive: true, force: true });
      const digest = verities.toString("hex");
      const link = join(place.images, digest);
      if (!existsSync(link)) symlinkSync(`../objects/${pathOfObject(digest)}`, link);
      return { digest, path: objectPath(digest) };
    },
    check,
  };
}

function toBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
}
