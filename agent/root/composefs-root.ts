/**
 * The root driver on the store of objects: each file's content is kept once, whatever it came in,
 * and the root is a composefs image of the merged layers (docs/architecture.md, "store").
 */
import { rmSync } from "node:fs";
import { join } from "node:path";
import { writeErofsImage } from "../composefs/erofs-image.ts";
import type { TreeNode } from "../composefs/file-tree.ts";
import { computeFsVerityDigest } from "../composefs/fsverity.ts";
import {
  decodeLayerTree,
  type LayerTree,
  listLayerEntries,
  listTreeObjects,
} from "../composefs/layer-tree.ts";
import { type MergeRules, mergeLayers } from "../composefs/merge-layers.ts";
import type { ObjectKeeper } from "../composefs/object-keeper.ts";
import { transformForOci } from "../composefs/oci-transform.ts";
import { placeArchive } from "../composefs/place-archive.ts";
import { AgentError } from "../errors.ts";
import { mountComposefs } from "./composefs-mount.ts";
import type {
  LayerSource,
  MountedRoot,
  RootDriver,
  RootLayer,
  RootOptions,
  UnpackOptions,
} from "./root-driver.ts";
import { unmountRoot } from "./unmount-root.ts";
import { createUnpackPool, type UnpackPool } from "./unpack-pool.ts";

export interface ComposefsDriverOptions {
  store: ObjectKeeper;
  log: { info(line: string): void; warn(line: string): void };
  pool?: UnpackPool;
  /** Told what the mounted root is made of, so that the store keeps it: ids of trees, digest of the image. */
  onUse?: (used: { trees: readonly string[]; image: string }) => void;
}

/** A layer or archive that is in the store. */
interface StoredTree {
  id: string;
  tree: LayerTree;
  layer: RootLayer;
}

export function createComposefsDriver(options: ComposefsDriverOptions): RootDriver {
  const { store, log, pool = createUnpackPool() } = options;
  const known = new WeakMap<RootLayer, StoredTree>();

  const take = async (source: LayerSource, unpackOptions: UnpackOptions): Promise<StoredTree> => {
    const stored = (await findStored(source)) ?? (await collect(source, unpackOptions));
    known.set(stored.layer, stored);
    return stored;
  };

  /** What is here already, checked: the objects of a damaged tree are fetched again with it. */
  const findStored = async (source: LayerSource): Promise<StoredTree | undefined> => {
    const id = nameTree(source);
    const bytes = id === undefined ? undefined : store.readTreeIfExists(id);
    if (id === undefined || bytes === undefined) return undefined;
    const tree = decodeLayerTree(bytes);
    const objects = listTreeObjects(tree).map(({ verity }) => verity);
    const { lost } = await store.check(objects);
    if (lost.length > 0) {
      log.warn(
        `store: ${lost.length} of ${objects.length} objects of ${id} are damaged or missing, fetching it again`,
      );
      return undefined;
    }
    log.info(`store: ${id} is here already, ${objects.length} objects checked`);
    return { id, tree, layer: describe(source, tree, []) };
  };

  const collect = async (source: LayerSource, unpackOptions: UnpackOptions): Promise<StoredTree> => {
    const rootPath = store.createStaging();
    try {
      const { digest, diffId, sizeBytes } = source;
      const job = {
        kind: "objects",
        rootPath,
        to: "/",
        ...(digest !== undefined && { digest }),
        ...(diffId !== undefined && { diffId }),
        ...(sizeBytes !== undefined && { sizeBytes }),
      } as const;
      const { collected, warnings } = await pool.unpack(job, source, unpackOptions);
      const { staged, tree: bytes, diffId: computed } = collected!;
      const tree = decodeLayerTree(Buffer.from(bytes));
      await store.commit(staged);
      const id = nameTree({ ...source, diffId: source.diffId ?? computed })!;
      const objects = listTreeObjects(tree).map(({ verity }) => verity);
      store.putTree(id, bytes, objects);
      // The same tree by the name it will be asked for next time.
      const asked = nameTree(source);
      if (asked !== undefined && asked !== id) store.putTree(asked, bytes, objects);
      return { id, tree, layer: describe(source, tree, warnings) };
    } finally {
      rmSync(rootPath, { recursive: true, force: true });
    }
  };

  return {
    name: "composefs",

    hasLayer: (diffId) => store.readTreeIfExists(nameTree({ diffId })!) !== undefined,

    async addLayer(source, unpackOptions = {}) {
      return (await take(source, unpackOptions)).layer;
    },

    async mount(layers, rootOptions) {
      const stack = layers.map((layer) => {
        const stored = known.get(layer);
        if (!stored) throw new TypeError("A root is mounted of layers that the same driver took");
        return stored;
      });
      const merged = mergeTrees(stack, "mount");
      if (rootOptions.composefsDigest !== undefined) checkDigest(stack, merged, rootOptions.composefsDigest);
      const root: ComposedRoot = {
        tree: merged,
        ids: stack.map(({ id }) => id),
        rootOptions,
        driver: options,
      };
      await mountTree(root);
      return createMountedRoot(root, take);
    },
  };
}

/** Layers are known by their DiffID; an archive with a promised digest by that. */
function nameTree({ diffId, digest }: { diffId?: string | undefined; digest?: string }): string | undefined {
  if (diffId !== undefined) return `tar-${diffId.replace(":", "-")}`;
  return digest === undefined ? undefined : `archive-${digest.replace(":", "-")}`;
}

function describe(source: LayerSource, tree: LayerTree, warnings: readonly string[]): RootLayer {
  return {
    ...(source.digest !== undefined && { digest: source.digest }),
    ...(source.diffId !== undefined && { diffId: source.diffId }),
    files: tree.length,
    bytes: tree.reduce((sum, { entry }) => sum + entry.sizeBytes, 0),
    warnings,
  };
}

function mergeTrees(stack: readonly StoredTree[], rules: MergeRules): TreeNode {
  return mergeLayers(
    stack.map(({ tree }) => listLayerEntries(tree)),
    rules,
  );
}

/**
 * The digest may be of the image as we mount it, or of the one that composefs's own tools make of an OCI image
 * (docs/architecture.md, "composefs"). Throws ROOT_DIGEST_MISMATCH.
 */
function checkDigest(stack: readonly StoredTree[], merged: TreeNode, expected: string): void {
  const digestOf = (tree: TreeNode) => computeFsVerityDigest(writeErofsImage(tree)).toString("hex");
  const own = digestOf(merged);
  if (own === expected) return;
  const canonical = mergeTrees(stack, "composefs-rs");
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

async function mountTree({ tree, ids, rootOptions, driver }: ComposedRoot): Promise<void> {
  const { store, log } = driver;
  const content = writeErofsImage(tree);
  const image = await store.putImage(content);
  const form = mountComposefs({
    ...rootOptions,
    imagePath: image.path,
    objectsDir: store.objectsDir,
    usesAcl: (content.readUInt32LE(HEADER_FLAGS_OFFSET) & HAS_ACL_FLAG) !== 0,
    requireVerity: store.seals,
    metaDir: join(rootOptions.workDir, "..", "meta"),
  });
  driver.onUse?.({ trees: ids, image: image.digest });
  log.info(`root: composefs image ${image.digest} (${(content.length / 1e6).toFixed(1)} MB), ${form}`);
}

/** composefs's own header, before the superblock. */
const HEADER_FLAGS_OFFSET = 8;
const HAS_ACL_FLAG = 1;

function createMountedRoot(
  root: ComposedRoot,
  take: (source: LayerSource, options: UnpackOptions) => Promise<StoredTree>,
): MountedRoot {
  const path = root.rootOptions.target;
  return {
    path,
    unmount: async () => unmountRoot(path),
    /** The archive's content is kept as objects; the root is mounted anew with it in its image. */
    async unpackArchive(source, to, options = {}) {
      const { id, tree: archive, layer } = await take(source, options);
      placeArchive(root.tree, to, listLayerEntries(archive));
      root.ids.push(id);
      unmountRoot(path);
      await mountTree(root);
      return { files: layer.files, bytes: layer.bytes, warnings: layer.warnings };
    },
  };
}
