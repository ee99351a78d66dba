/**
 * The root driver on the store of objects: each file's content is kept once, whatever it came in,
 * and the root is a composefs image of the merged layers (docs/architecture.md, "store").
 */
import { join } from "node:path";
import { writeErofsImage } from "../../composefs/erofs-image.ts";
import type { TreeNode } from "../../composefs/file-tree.ts";
import { computeFsVerityDigest } from "../../composefs/fsverity.ts";
import type { LayerTree } from "../../composefs/layer-tree.ts";
import { type MergeRules, mergeLayers } from "../../composefs/merge-layers.ts";
import type { ObjectRepository } from "../../composefs/object-repository.ts";
import { transformForOci } from "../../composefs/oci-transform.ts";
import { placeArchive } from "../../composefs/place-archive.ts";
import { AgentError } from "../../errors.ts";
import { mountComposefs } from "../mount/composefs.ts";
import { unmountRoot } from "../mount/unmount.ts";
import type { MountedRoot, RootDriver, RootLayer, RootOptions } from "../root-driver.ts";
import { collectAfter } from "../unpack/force-gc.ts";
import { createUnpackPool, type UnpackPool } from "../unpack/pool.ts";
import { createTreePuller, nameTrees, type StoredTree, type TakeTree } from "../unpack/pull-tree.ts";
import { createImageForecast, type ImageForecast } from "./speculative-image.ts";

export interface ComposefsDriverOptions {
  store: ObjectRepository;
  log: { info(line: string): void; warn(line: string): void };
  pool?: UnpackPool;
  /** Told what the mounted root is made of, so that the store keeps it: ids of trees, digest of the image. */
  onUse?: (used: { name: string; trees: readonly string[]; image: string }) => void;
}

export function createComposefsDriver(options: ComposefsDriverOptions): RootDriver {
  const { store, log, pool = createUnpackPool() } = options;
  const known = new WeakMap<RootLayer, StoredTree>();
  let forecast: ImageForecast | undefined;

  const takeTree = createTreePuller({ store, pool, log });
  const take: TakeTree = async (source, unpackOptions) => {
    const { diffId } = source;
    const onTree = (tree: Uint8Array) => diffId !== undefined && forecast?.note(diffId, tree);
    const stored = await takeTree(source, { ...unpackOptions, onTree });
    known.set(stored.layer, stored);
    return stored;
  };

  return {
    name: "composefs",

    warmUp: () => pool.warmUp(),

    expectLayers(diffIds) {
      forecast = createImageForecast(diffIds, (trees) => {
        const tree = mergeForMount(trees);
        return { tree, content: writeErofsImage(tree) };
      });
    },

    hasLayer: (diffId) => nameTrees({ diffId }).some((id) => store.readTreeIfExists(id) !== undefined),

    async addLayer(source, unpackOptions = {}) {
      return (await take(source, unpackOptions)).layer;
    },

    async mount(layers, rootOptions) {
      const stack = layers.map((layer) => {
        const stored = known.get(layer);
        if (!stored) throw new TypeError("A root is mounted of layers that the same driver took");
        return stored;
      });
      const trees = stack.map(({ tree }) => tree);
      const foreseen = forecast?.take(trees);
      forecast = undefined;
      const merged = foreseen?.tree ?? mergeForMount(trees);
      if (rootOptions.composefsDigest !== undefined) checkDigest(trees, merged, rootOptions.composefsDigest);
      const root: ComposedRoot = {
        tree: merged,
        ids: stack.map(({ id }) => id),
        rootOptions,
        driver: options,
      };
      await mountTree(root, foreseen?.content);
      return createMountedRoot(root, take);
    },
  };
}

/** With the tree and its image comes a peak of memory: what fetching and unpacking left behind goes first. */
function mergeForMount(trees: readonly LayerTree[]): TreeNode {
  collectAfter(Math.max(...trees.map(({ length }) => length)));
  return mergeTrees(trees, "mount");
}

function mergeTrees(trees: readonly LayerTree[], rules: MergeRules): TreeNode {
  return mergeLayers(
    trees.map((tree) => tree.listEntries()),
    rules,
  );
}

/**
 * The digest may be of the image as we mount it, or of the one that composefs's own tools make of an OCI image
 * (docs/architecture.md, "composefs"). Throws ROOT_DIGEST_MISMATCH.
 */
function checkDigest(trees: readonly LayerTree[], merged: TreeNode, expected: string): void {
  const digestOf = (tree: TreeNode) => computeFsVerityDigest(writeErofsImage(tree)).toString("hex");
  const own = digestOf(merged);
  if (own === expected) return;
  const canonical = mergeTrees(trees, "composefs-rs");
  transformForOci(canonical);
  const digest = digestOf(canonical);
  if (digest === expected) return;
  throw new AgentError(
    "ROOT_DIGEST_MISMATCH",
    `Cannot use the image: its composefs digest is "${digest}" (as mounted "${own}"), the job says "${expected}"`,
    { context: { expected, digest, own } },
  );
}

/** A root, and what it takes to mount it anew. */
interface ComposedRoot {
  tree: TreeNode;
  ids: string[];
  rootOptions: RootOptions;
  driver: ComposefsDriverOptions;
}

async function mountTree(
  { tree, ids, rootOptions, driver }: ComposedRoot,
  content = writeErofsImage(tree),
): Promise<void> {
  const { store, log } = driver;
  const image = await store.putImage(content);
  const form = mountComposefs({
    ...rootOptions,
    imagePath: image.path,
    objectsDir: store.objectsDir,
    usesAcl: (content.readUInt32LE(HEADER_FLAGS_OFFSET) & HAS_ACL_FLAG) !== 0,
    requireVerity: store.seals,
    metaDir: join(rootOptions.workDir, "..", "meta"),
  });
  if (rootOptions.name !== undefined)
    driver.onUse?.({ name: rootOptions.name, trees: ids, image: image.digest });
  log.info(`root: composefs image ${image.digest} (${(content.length / 1e6).toFixed(1)} MB), ${form}`);
}

/** composefs's own header, before the superblock. */
const HEADER_FLAGS_OFFSET = 8;
const HAS_ACL_FLAG = 1;

function createMountedRoot(root: ComposedRoot, take: TakeTree): MountedRoot {
  const path = root.rootOptions.target;
  return {
    path,
    unmount: async () => unmountRoot(path),
    /** The archive's content is kept as objects; the root is mounted anew with it in its image. */
    async unpackArchive(source, to, options = {}) {
      const { id, tree: archive, layer } = await take(source, options);
      placeArchive(root.tree, to, archive.listEntries());
      root.ids.push(id);
      unmountRoot(path);
      await mountTree(root);
      return { files: layer.files, bytes: layer.bytes, warnings: layer.warnings };
    },
  };
}
