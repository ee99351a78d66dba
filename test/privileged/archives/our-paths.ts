/** Every way of ours from the bytes of a tar to a tree: both root drivers, as layer and artifact, whole and in parts. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { ByteRange } from "../../../agent/archive/byte-range.ts";
import { AgentError } from "../../../agent/errors.ts";
import { createComposefsDriver } from "../../../agent/root/drivers/composefs.ts";
import type { LayerSource, PartSource, RootDriver } from "../../../agent/root/root-driver.ts";
import { createUnpackPool } from "../../../agent/root/unpack/pool.ts";
import { openObjectStore } from "../../../agent/store/object-store.ts";
import { openStoreLayout } from "../../../agent/store/store-layout.ts";
import { packTar } from "../../integration/chunked/pack.ts";
import { type Scratch, sourceOf } from "../root/scratch.ts";
import { listTree } from "../root/tree-listing.ts";

const pool = createUnpackPool();
const log = { info() {}, warn() {} };
let stores = 0;

/** The lines of the tree, or the code of the error. */
export type Answer = string[] | string;

async function createComposefs(scratch: Scratch): Promise<RootDriver> {
  const path = join(scratch.path, `objects${stores++}`);
  mkdirSync(path);
  return createComposefsDriver({ store: await openObjectStore(openStoreLayout(path).layout), pool, log });
}

async function answer(act: () => Promise<string[]>): Promise<Answer> {
  try {
    return await act();
  } catch (error) {
    if (error instanceof AgentError && error.code !== "BUG_UNEXPECTED") return error.code;
    throw error;
  }
}

/** Layers from the lowest up. */
function unpackLayers(driver: RootDriver, scratch: Scratch, sources: LayerSource[]): Promise<Answer> {
  return answer(async () => {
    const layers = [];
    for (const source of sources) layers.push(await driver.addLayer(source));
    const root = await driver.mount(layers, scratch.newRootOptions());
    try {
      return listTree(root.path, { times: true, hashes: true });
    } finally {
      await root.unmount();
    }
  });
}

/** Over an empty root, into a directory that the archive makes; the root itself has no line. */
function unpackArtifact(driver: RootDriver, scratch: Scratch, source: LayerSource): Promise<Answer> {
  return answer(async () => {
    const root = await driver.mount([], scratch.newRootOptions());
    try {
      await root.unpackArchive(source, "/to");
      return listTree(join(root.path, "to"), { times: true, hashes: true });
    } finally {
      await root.unmount();
    }
  });
}

/** Serves ranges of a blob, and nothing else. */
function createParts(blob: Buffer): PartSource {
  return {
    readTail: async (sizeBytes) => ({ bytes: blob.subarray(-sizeBytes), totalBytes: blob.length }),
    async *readRanges(ranges: readonly ByteRange[]) {
      for (const { start, end } of ranges) yield { offset: start, bytes: blob.subarray(start, end) };
    },
  };
}

async function packInParts(tar: Buffer): Promise<LayerSource> {
  const { blob, tocDigest } = await packTar(tar);
  return { ...sourceOf(blob), parts: { ...createParts(blob), tableDigest: tocDigest } };
}

/** By the name of the way. */
export async function unpackEveryWay(tar: Buffer, scratch: Scratch): Promise<Record<string, Answer>> {
  const layer = (driver: RootDriver) => unpackLayers(driver, scratch, [sourceOf(tar, {}, 10_000)]);
  const artifact = (driver: RootDriver) => unpackArtifact(driver, scratch, sourceOf(tar));
  return {
    overlay: await layer(scratch.createDriver()),
    composefs: await layer(await createComposefs(scratch)),
    "in parts": await answer(async () => {
      const source = await packInParts(tar);
      const tree = await unpackLayers(await createComposefs(scratch), scratch, [source]);
      if (typeof tree === "string") throw new AgentError(tree as AgentError["code"], tree);
      return tree;
    }),
    "overlay, artifact": await artifact(scratch.createDriver()),
    "composefs, artifact": await artifact(await createComposefs(scratch)),
  };
}

export async function unpackLayersByBoth(
  tars: readonly Buffer[],
  scratch: Scratch,
): Promise<[Answer, Answer]> {
  const drivers = [scratch.createDriver(), await createComposefs(scratch)];
  const [overlay, composefs] = await Promise.all(
    drivers.map((driver) =>
      unpackLayers(
        driver,
        scratch,
        tars.map((tar) => sourceOf(tar)),
      ),
    ),
  );
  return [overlay!, composefs!];
}
