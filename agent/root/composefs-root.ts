/**
 * The root driver on the store of objects: each file's content is kept once, whatever it came in,
 * and the root is a composefs image of the merged layers (docs/architecture.md, "store").
 */
import { rmSync } from "node:fs";
import { join } from "node:path";
import { writeErofsImage } from "../composefs/erofs-image.ts";
import type { TreeNode } from "../composefs/file-tree.ts";
import {
  decodeLayerTree,
  type LayerTree,
  listLayerEntries,
  listTreeObjects,
} from "../composefs/layer-tree.ts";
import { mergeLayers } from "../composefs/merge-layers.ts";
import { placeArchive } from "../composefs/place-archive.ts";
import { AgentError } from "../errors.ts";
import { isKernelError, umount } from "../kernel/syscalls.ts";
import { mountComposefs } from "./composefs-mount.ts";
import type { ObjectKeeper } from "./object-keeper.ts";
import type {
  LayerSource,
  MountedRoot,
  RootDriver,
  RootLayer,
  RootOptions,
  UnpackOptions,
} from "./root-driver.ts";
import { createUnpackPool, type UnpackPool } from "./unpack-pool.ts";

export interface ComposefsDriverOptions {
  store: ObjectKeeper;
  log: { info(line: string): void; warn(line: string): void };
  pool?: UnpackPool;
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

    async addLayer(source, unpackOptions = {}) {
      return (await take(source, unpackOptions)).layer;
    },

    async mount(layers, rootOptions) {
      const trees = layers.map((layer) => {
        const stored = known.get(layer);
        if (!stored) throw new TypeError("A root is mounted of layers that the same driver took");
        return stored.tree;
      });
      const merged = mergeLayers(
        trees.map((tree) => listLayerEntries(tree)),
        "mount",
      );
      await mountTree(merged, rootOptions, options);
      return createMountedRoot(merged, rootOptions, options, take);
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

async function mountTree(
  tree: TreeNode,
  rootOptions: RootOptions,
  { store, log }: ComposefsDriverOptions,
): Promise<void> {
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
  log.info(`root: composefs image ${image.digest} (${(content.length / 1e6).toFixed(1)} MB), ${form}`);
}

/** composefs's own header, before the superblock. */
const HEADER_FLAGS_OFFSET = 8;
const HAS_ACL_FLAG = 1;

function createMountedRoot(
  tree: TreeNode,
  rootOptions: RootOptions,
  driver: ComposefsDriverOptions,
  take: (source: LayerSource, options: UnpackOptions) => Promise<StoredTree>,
): MountedRoot {
  const path = rootOptions.target;
  const unmount = async () => {
    try {
      umount(path);
    } catch (error) {
      if (!isKernelError(error)) throw error;
      throw new AgentError("ROOT_UNMOUNT_FAILED", `Cannot unmount the root at "${path}": ${error.code}`, {
        cause: error,
      });
    }
  };
  return {
    path,
    unmount,
    /** The archive's content is kept as objects; the root is mounted anew with it in its image. */
    async unpackArchive(source, to, options = {}) {
      const { tree: archive, layer } = await take(source, options);
      placeArchive(tree, to, listLayerEntries(archive));
      await unmount();
      await mountTree(tree, rootOptions, driver);
      return { files: layer.files, bytes: layer.bytes, warnings: layer.warnings };
    },
  };
}
