/**
 * The object store: every file's content once, named by its fs-verity digest, put so that a power cut loses nothing
 * that was promised. What the objects mean (trees, images) is kept as records beside them.
 */
import { createHash } from "node:crypto";
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
import { computeFsVerityDigest } from "../composefs/fsverity.ts";
import type { ObjectKeeper, StagedObject, TreeRecord } from "../composefs/object-keeper.ts";
import { syncfs } from "../kernel/syscalls.ts";
import { openDigestIndex } from "./digest-index.ts";
import { indexObjects } from "./index-objects.ts";
import { placeRecord, putLosableRecord, readRecordIfExists, stageRecord } from "./records.ts";
import { canSeal, sealAll } from "./seal.ts";
import { openSmallContents } from "./small-contents.ts";
import { listObjects, pathOfObject, type StorePlace } from "./store-place.ts";
import { dropOldTables, listTables } from "./tables.ts";
import { createVerifyBuffer, verifyObject } from "./verify-object.ts";

export interface CheckResult {
  checked: number;
  sealed: number;
  /** Digests of objects that were missing or wrong; the wrong ones are gone now. */
  lost: string[];
}

export interface ObjectStore extends ObjectKeeper {
  readonly place: StorePlace;
  readTreeObjects(id: string): string[];
  /** Without trust in seals every byte is read. */
  check(verities: Iterable<string>, options?: { trustsSeals?: boolean }): Promise<CheckResult>;
}

const DIGEST_BYTES = 32;

function hasSha256(object: StagedObject): object is StagedObject & { sha256: string } {
  return object.sha256 !== undefined;
}
/** Between two pauses of a long check, so that signals and the console are served. */
const CHECK_SLICE_MS = 50;

export async function openObjectStore(place: StorePlace): Promise<ObjectStore> {
  const index = openDigestIndex(place);
  const smalls = openSmallContents(place);
  const seals = await canSeal(place.staging);
  let stagings = 0;
  let isEmpty = true;
  let indexing: ReturnType<ObjectStore["indexFiles"]> | undefined;

  const objectPath = (verity: string) => join(place.objects, pathOfObject(verity));
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
  const dropDamaged = async (verities: readonly string[], trustsSeals: boolean) => {
    const here = verities.filter((verity) => existsSync(objectPath(verity)));
    const { lost } = await check(here, { trustsSeals });
    for (const verity of lost) place.onDamage(`object ${verity}`);
  };

  const stageTree = ({ id, content, objects }: TreeRecord) => [
    // The list of objects goes first: a tree whose objects are not known would not be protected from collection.
    stageRecord(place, place.trees, `${id}.objects`, Buffer.from(objects.join(""), "hex")),
    stageRecord(place, place.trees, `${id}.tree`, content),
  ];

  /** Without a flush behind them the names reach the disk with whatever is flushed next. */
  const keep = async (
    staged: readonly StagedObject[],
    trees: readonly TreeRecord[],
    flushesNames: boolean,
  ) => {
    await dropDamaged(
      staged.map(({ verity }) => verity),
      true,
    );
    const fresh = new Map<string, StagedObject>();
    for (const object of staged) {
      if (fresh.has(object.verity) || existsSync(objectPath(object.verity)))
        rmSync(object.path, { force: true });
      else fresh.set(object.verity, object);
    }
    const objects = [...fresh.values()];
    const records = trees.flatMap(stageTree);
    if (objects.length + records.length > 0) {
      if (seals) await sealAll(objects.map(({ path }) => path));
      await flush();
      // A journal keeps their order; where none does, the check before each use sees what is not there.
      for (const { path, verity } of objects) renameSync(path, objectPath(verity));
      records.forEach(placeRecord);
      if (flushesNames) await flush();
    }
    index.add(staged.filter(hasSha256));
  };

  return {
    place,
    objectsDir: place.objects,
    seals,
    get isEmpty() {
      isEmpty &&= listObjects(place).length === 0;
      return isEmpty;
    },
    hasObject: (verity) => existsSync(objectPath(verity)),
    findBySha256(sha256) {
      const verity = index.find(sha256);
      return verity !== undefined && existsSync(objectPath(verity)) ? verity : undefined;
    },
    // Layers that are pulled side by side wait for the same work.
    indexFiles: () => {
      indexing ??= indexObjects(place, index).finally(() => {
        indexing = undefined;
      });
      return indexing;
    },
    createStaging,
    commit: (staged, trees = []) => keep(staged, trees, true),
    readTreeIfExists: (id) => readRecordIfExists(place, place.trees, `${id}.tree`),
    readTreeObjects(id) {
      const bytes = readRecordIfExists(place, place.trees, `${id}.objects`) ?? Buffer.alloc(0);
      const digests: string[] = [];
      for (let at = 0; at + DIGEST_BYTES <= bytes.length; at += DIGEST_BYTES) {
        digests.push(bytes.toString("hex", at, at + DIGEST_BYTES));
      }
      return digests;
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
      const verity = computeFsVerityDigest(content).toString("hex");
      const sha256 = createHash("sha256").update(content).digest("hex");
      const folder = createStaging();
      const staged = { path: join(folder, "image"), verity, sha256, sizeBytes: content.length };
      writeFileSync(staged.path, content, { mode: 0o600 });
      // Not by its seal alone: the kernel reads the image first, and would refuse the whole root at every boot.
      await dropDamaged([verity], false);
      // An image whose name is lost is made again from its trees.
      await keep([staged], [], false);
      rmSync(folder, { recursive: true, force: true });
      const path = objectPath(verity);
      const digest = verity;
      const link = join(place.images, digest);
      if (!existsSync(link)) symlinkSync(`../objects/${pathOfObject(digest)}`, link);
      return { digest, path };
    },
    check,
  };
}
