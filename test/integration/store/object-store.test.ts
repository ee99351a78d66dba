import { createHash } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { isNoDigest, listDigests, NO_DIGEST, readDigest } from "../../../agent/archive/digests.ts";
import { computeFsVerityDigest } from "../../../agent/composefs/fsverity.ts";
import type { StagedObjects } from "../../../agent/composefs/object-repository.ts";
import { formatObjectPath } from "../../../agent/composefs/object-repository.ts";
import { DigestIndex } from "../../../agent/store/digest-index.ts";
import { collect, putReference, readReferences } from "../../../agent/store/garbage-collect.ts";
import { type ObjectStore, openObjectStore } from "../../../agent/store/object-store.ts";
import { openStoreLayout, type StoreLayout } from "../../../agent/store/store-layout.ts";

let folder: string;
let layout: StoreLayout;
let store: ObjectStore;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "store-"));
  ({ layout } = openStoreLayout(folder));
  store = await openObjectStore(layout);
});

afterEach(() => {
  layout.close();
  rmSync(folder, { recursive: true });
});

/** In hex, both. */
function findBySha256(store: ObjectStore, sha256: string): string | undefined {
  const verities = store.findBySha256(Buffer.from(sha256, "hex"));
  return isNoDigest(verities, 0) ? undefined : readDigest(verities, 0);
}

function hasObject(verity: string): boolean {
  return existsSync(join(layout.objects, formatObjectPath(verity)));
}

interface Staged extends StagedObjects {
  objects: { path: string; verity: string; sha256: string }[];
}

function stage(...texts: string[]): Staged {
  const folder = store.createStaging();
  const objects = texts.map((text, number) => {
    const path = join(folder, String(number));
    writeFileSync(path, text);
    return {
      path,
      verity: computeFsVerityDigest(Buffer.from(text)).toString("hex"),
      sha256: createHash("sha256").update(text).digest("hex"),
    };
  });
  return {
    folder,
    objects,
    verities: joinDigests(objects.map(({ verity }) => verity)),
    sha256s: joinDigests(objects.map(({ sha256 }) => sha256)),
  };
}

function joinDigests(digests: string[]): Buffer {
  return Buffer.from(digests.join(""), "hex");
}

/** Keeps one object. */
async function keep(text: string) {
  const staged = stage(text);
  await store.commit(staged);
  return staged.objects[0]!;
}

const NOTHING = { folder: "", verities: Buffer.alloc(0) };

async function reopen(): Promise<string[]> {
  layout.close();
  const opened = openStoreLayout(folder);
  layout = opened.layout;
  store = await openObjectStore(layout);
  return opened.dropped;
}

describe("object store", () => {
  it("stores each content once, under its digest, and finds it by sha256", async () => {
    const staged = stage("content", "content", "other");
    await store.commit(staged);
    const [first, twin, other] = staged.objects as [
      Staged["objects"][0],
      Staged["objects"][0],
      Staged["objects"][0],
    ];
    expect(findBySha256(store, first.sha256)).toBe(first.verity);
    expect(findBySha256(store, other.sha256)).toBe(other.verity);
    expect(readFileSync(join(layout.objects, formatObjectPath(first.verity)), "utf8")).toBe("content");
    expect(existsSync(twin.path)).toBe(false);
  });

  it("finds its objects after it was closed and opened again", async () => {
    const object = await keep("again");
    await reopen();
    expect(findBySha256(store, object.sha256)).toBe(object.verity);
  });

  it("looks up thousands of digests at once", async () => {
    const staged = stage(...Array.from({ length: 400 }, (_, number) => `file ${number}`));
    await store.commit(staged);
    for (const { verity } of staged.objects.slice(0, 100))
      rmSync(join(layout.objects, formatObjectPath(verity)));
    const asked = [...staged.objects.map(({ sha256 }) => sha256), "f".repeat(64)];
    const verities = store.findBySha256(Buffer.from(asked.join(""), "hex"));
    expect([...listDigests(verities)]).toEqual([
      ...Array(100).fill(NO_DIGEST),
      ...staged.objects.slice(100).map(({ verity }) => verity),
      NO_DIGEST,
    ]);
  });

  it("finds objects stored without a sha256 once they are indexed, also after it was closed", async () => {
    expect(store.isEmpty).toBe(true);
    await keep("known");
    const { sha256s: _unknown, ...whole } = stage("came whole");
    const { sha256, verity } = whole.objects[0]!;
    await store.commit(whole);
    expect(store.isEmpty).toBe(false);
    expect(findBySha256(store, sha256)).toBeUndefined();
    const indexed = await Promise.all([store.indexFiles(), store.indexFiles()]);
    expect(indexed).toEqual(Array(2).fill({ files: 1, bytes: "came whole".length }));
    expect(findBySha256(store, sha256)).toBe(verity);
    await reopen();
    expect(store.isEmpty).toBe(false);
    expect(findBySha256(store, sha256)).toBe(verity);
    expect(await store.indexFiles()).toEqual({ files: 0, bytes: 0 });
  });

  it("has only the folders 00 to ff in its objects folder", async () => {
    await store.commit(stage("x"));
    expect(readdirSync(layout.objects)).toHaveLength(256);
  });

  it("deletes incomplete writes when it is opened", async () => {
    const lost = stage("half").objects[0]!;
    expect(await reopen()).not.toEqual([]);
    expect(existsSync(lost.path)).toBe(false);
    expect(findBySha256(store, lost.sha256)).toBeUndefined();
  });

  it("detects and drops damaged objects, and returns the missing ones", async () => {
    const [good, rotten, gone] = [await keep("good"), await keep("rotten"), await keep("gone")];
    writeFileSync(join(layout.objects, formatObjectPath(rotten.verity)), "rottem");
    rmSync(join(layout.objects, formatObjectPath(gone.verity)));
    const result = await store.check([good.verity, rotten.verity, gone.verity]);
    expect(result.lost.sort()).toEqual([rotten.verity, gone.verity].sort());
    expect(hasObject(good.verity)).toBe(true);
    expect(hasObject(rotten.verity)).toBe(false);
  });

  it("stores trees with the objects that they reference", async () => {
    const staged = stage("leaf");
    const object = staged.objects[0]!;
    await store.commit(staged, [{ id: "abc", content: Buffer.from("tree"), objects: staged.verities }]);
    expect(store.readTreeIfExists("abc")?.toString()).toBe("tree");
    const objects = readFileSync(join(layout.trees, "abc.objects"));
    expect(objects.subarray(0, 32).toString("hex")).toBe(object.verity);
    expect(store.readTreeIfExists("abd")).toBeUndefined();
  });

  it("replaces damaged objects and images when they are stored again", async () => {
    const first = await keep("content");
    const { path } = await store.putImage(Buffer.from("image"));
    const object = join(layout.objects, formatObjectPath(first.verity));
    for (const damaged of [object, path]) writeFileSync(damaged, "rotten!");
    await store.commit(stage("content"));
    await store.putImage(Buffer.from("image"));
    expect(readFileSync(object, "utf8")).toBe("content");
    expect(readFileSync(path, "utf8")).toBe("image");
  });

  it("treats a damaged record as absent, drops it and logs it", async () => {
    const told: string[] = [];
    await store.commit(NOTHING, [{ id: "abc", content: Buffer.from("a tree"), objects: NOTHING.verities }]);
    const path = join(layout.trees, "abc.members");
    const bytes = readFileSync(path);
    bytes[2] = bytes[2]! ^ 1;
    writeFileSync(path, bytes);
    writeFileSync(join(layout.references, "cut"), "");
    layout.close();
    ({ layout } = openStoreLayout(folder, { onDamage: (what) => told.push(what) }));
    store = await openObjectStore(layout);
    expect(store.readTreeIfExists("abc")).toBeUndefined();
    expect(readReferences(layout)).toEqual([]);
    expect(told).toEqual(["record trees/abc.members", "record references/cut"]);
    expect(existsSync(path)).toBe(false);
  });

  it("stores images as objects with a link", async () => {
    const { digest, path } = await store.putImage(Buffer.from("image"));
    expect(readFileSync(join(layout.images, digest), "utf8")).toBe("image");
    expect(readFileSync(path, "utf8")).toBe("image");
  });
});

describe("store layout", () => {
  it("allows one writer at a time", () => {
    expect(() => openStoreLayout(folder)).toThrow(expect.objectContaining({ code: "STORE_LOCKED" }));
  });

  it("does not change the folder of another version", async () => {
    const other = join(folder, "dutboot-store-999");
    mkdirSync(other);
    writeFileSync(join(other, "treasure"), "kept");
    await reopen();
    expect(readFileSync(join(other, "treasure"), "utf8")).toBe("kept");
  });
});

describe("collection", () => {
  const refer = async (id: string, text: string, usedAtMs: number) => {
    const staged = stage(text);
    await store.commit(staged, [{ id: `tree-${id}`, content: Buffer.from(""), objects: staged.verities }]);
    putReference(layout, id, { kind: "image", name: id, trees: [`tree-${id}`], usedAtMs });
    return staged.objects[0]!;
  };

  it("drops the least recently used images down to the quota, and never a pinned one", async () => {
    const old = await refer("old", "a".repeat(100), 1);
    const middle = await refer("middle", "b".repeat(100), 2);
    const fresh = await refer("fresh", "c".repeat(100), 3);
    const result = collect(layout, new DigestIndex(layout), { quotaBytes: 250, pinned: new Set(["old"]) });
    expect(result.droppedReferences.map(({ id }) => id)).toEqual(["middle"]);
    expect(result).toMatchObject({ droppedObjects: 1, freedBytes: 100, keptBytes: 200 });
    expect([old, middle, fresh].map(({ verity }) => hasObject(verity))).toEqual([true, false, true]);
    expect(readReferences(layout).map(({ id }) => id)).toEqual(["fresh", "old"]);
  });

  it("collects unreferenced objects even below the quota", async () => {
    const orphan = await keep("orphan");
    const result = collect(layout, new DigestIndex(layout), { quotaBytes: 1e9, pinned: new Set() });
    expect(result).toMatchObject({ droppedObjects: 1, freedBytes: 6 });
    await reopen();
    expect(findBySha256(store, orphan.sha256)).toBeUndefined();
  });

  it("keeps an object that two images share until both are dropped", async () => {
    const shared = await refer("one", "shared", 1);
    await refer("two", "shared", 2);
    const once = collect(layout, new DigestIndex(layout), { quotaBytes: 0, pinned: new Set(["two"]) });
    expect(once.droppedReferences.map(({ id }) => id)).toEqual(["one"]);
    expect(hasObject(shared.verity)).toBe(true);
    collect(layout, new DigestIndex(layout), { quotaBytes: 0, pinned: new Set() });
    expect(hasObject(shared.verity)).toBe(false);
  });
});
