/**
 * The root driver on the object store: the content of each file is stored once, and the root is a composefs image of the
 * merged layers (docs/architecture.md, "Store").
 */
import { join } from "node:path";
import { writeErofsImage } from "../../composefs/erofs-image.ts";
import type { TreeNode } from "../../composefs/file-tree.ts";
import { computeFsVerityDigest } from "../../composefs/fsverity.ts";
import type { LayerTree } from "../../composefs/layer-tree.ts";
import { type MergeRules, mergeLayers, placeArchive } from "../../composefs/merge-layers.ts";
import type { ObjectRepository } from "../../composefs/object-repository.ts";
import { transformForOci } from "../../composefs/oci-transform.ts";
import { AgentError } from "../../errors.ts";
import { mountComposefs } from "../mount/composefs.ts";
import { unmountRoot } from "../mount/overlay.ts";
import type { MountedRoot, RootDriver, RootLayer, RootOptions } from "../root-driver.ts";
import { collectAfter } from "../unpack/force-gc.ts";
import { createUnpackPool, type UnpackPool } from "../unpack/pool.ts";
import { nameTrees, type StoredTree, TreePuller } from "../unpack/pull-tree.ts";

export interface ComposefsDriverOptions {
  store: ObjectRepository;
  log: { info(line: string): void; warn(line: string): void };
  pool?: UnpackPool;
  /** Called with what a mounted root consists of, so that the store keeps it: IDs of trees, digest of the image. */
  onUse?: (used: { name: string; trees: readonly string[]; image: string }) => void;
}

export function createComposefsDriver(options: ComposefsDriverOptions): RootDriver {
  const { store, log, pool = createUnpackPool() } = options;
  const known = new WeakMap<RootLayer, StoredTree>();
  const puller = new TreePuller({ store, pool, log });
  let expected: readonly string[] = [];
  const announced = new Map<string, LayerTree>();
  let prepared: PreparedImage | undefined;

  /** Makes the image while the disk still writes the objects of the last layer. */
  const announce = (diffId: string | undefined, tree: LayerTree) => {
    if (diffId === undefined || !expected.includes(diffId)) return;
    announced.set(diffId, tree);
    const trees = expected.flatMap((each) => announced.get(each) ?? []);
    if (trees.length < expected.length) return;
    try {
      prepared = prepareImage(trees);
    } catch {
      // `mount` fails in the same way and reports it.
    }
  };

  return {
    name: "composefs",

    warmUp: () => pool.warmUp(),

    expectLayers(diffIds) {
      expected = diffIds;
      announced.clear();
      prepared = undefined;
    },

    hasLayer: (diffId) => nameTrees({ diffId }).some((id) => store.readTreeIfExists(id) !== undefined),

    async addLayer(source, unpackOptions = {}) {
      const onTree = (tree: LayerTree) => announce(source.diffId, tree);
      const stored = await puller.pull(source, { ...unpackOptions, onTree });
      known.set(stored.layer, stored);
      return stored.layer;
    },

    async mount(layers, rootOptions) {
      const stack = layers.map((layer) => {
        const stored = known.get(layer);
        if (!stored) throw new TypeError("The layer was not added to this driver");
        return stored;
      });
      const trees = stack.map(({ tree }) => tree);
      const isPrepared =
        prepared?.trees.length === trees.length &&
        trees.every((tree, index) => tree === prepared!.trees[index]);
      const { tree: merged, content } = isPrepared ? prepared! : prepareImage(trees);
      prepared = undefined;
      announced.clear();
      if (rootOptions.composefsDigest !== undefined) checkDigest(trees, merged, rootOptions.composefsDigest);
      const root: ComposedRoot = {
        tree: merged,
        ids: stack.map(({ id }) => id),
        rootOptions,
        driver: options,
      };
      await mountTree(root, content);
      return createMountedRoot(root, puller);
    },
  };
}

interface PreparedImage {
  trees: readonly LayerTree[];
  tree: TreeNode;
  content: Buffer;
}

function prepareImage(trees: readonly LayerTree[]): PreparedImage {
  // The tree and its image need much memory: first free what fetching and unpacking left behind.
  collectAfter(Math.max(...trees.map(({ length }) => length)));
  const tree = mergeTrees(trees, "mount");
  return { trees, tree, content: writeErofsImage(tree) };
}

function mergeTrees(trees: readonly LayerTree[], rules: MergeRules): TreeNode {
  return mergeLayers(
    trees.map((tree) => tree.listEntries()),
    rules,
  );
}

/**
 * The digest may be that of the image that we mount, or of the one that composefs's tools make of the OCI image
 * (docs/architecture.md, "Composefs"). Throws ROOT_DIGEST_MISMATCH.
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
    `Cannot use the image: its composefs digest is "${digest}" (as mounted: "${own}"), but the job says "${expected}"`,
    { context: { expected, digest, own } },
  );
}

interface ComposedRoot {
  tree: TreeNode;
  ids: string[];
  rootOptions: RootOptions;
  driver: ComposefsDriverOptions;
}

async function mountTree({ ids, rootOptions, driver }: ComposedRoot, content: Buffer): Promise<void> {
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

function createMountedRoot(root: ComposedRoot, puller: TreePuller): MountedRoot {
  const path = root.rootOptions.target;
  return {
    path,
    unmount: async () => unmountRoot(path),
    /** Stores the archive's content as objects, adds it to the tree and remounts the root. */
    async unpackArchive(source, to, options = {}) {
      const { id, tree: archive, layer } = await puller.pull(source, options);
      placeArchive(root.tree, to, archive.listEntries());
      root.ids.push(id);
      unmountRoot(path);
      await mountTree(root, writeErofsImage(root.tree));
      return { files: layer.files, bytes: layer.bytes, warnings: layer.warnings };
    },
  };
}
