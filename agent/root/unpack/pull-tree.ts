/**
 * Gets a layer or archive into the store: from there when it is there already, in parts where that is cheaper, else whole.
 * What comes out is its tree, all of whose objects are kept and were checked.
 */
import { rmSync } from "node:fs";
import { setImmediate as takeTurn } from "node:timers/promises";
import { DIGEST_BYTES, listDigests, uniteDigests } from "../../archive/digest-table.ts";
import { type LayerTree, readLayerTree } from "../../composefs/layer-tree.ts";
import type { ObjectRepository } from "../../composefs/object-repository.ts";
import { copyTable, locateTable } from "../chunked/capture-toc.ts";
import { pullInParts } from "../chunked/pull.ts";
import type { LayerSource, RootLayer } from "../root-driver.ts";
import { collectAfter } from "./force-gc.ts";
import type { UnpackResult } from "./messages.ts";
import type { TakeOptions, UnpackPool } from "./pool.ts";

/** A layer or archive that is in the store. */
export interface StoredTree {
  id: string;
  tree: LayerTree;
  layer: RootLayer;
}

export interface TreePullerTools {
  store: ObjectRepository;
  pool: UnpackPool;
  log: { info(line: string): void; warn(line: string): void };
}

export type TakeTree = (source: LayerSource, options: TakeOptions) => Promise<StoredTree>;

export function createTreePuller(tools: TreePullerTools): TakeTree {
  const { store, pool, log } = tools;

  /** What is here already, checked: the objects of a damaged tree are fetched again with it. */
  const findStored = async (source: LayerSource, options: TakeOptions): Promise<StoredTree | undefined> => {
    for (const id of nameTrees(source)) {
      const bytes = store.readTreeIfExists(id);
      const tree = bytes && readLayerTree(bytes);
      if (tree === undefined) continue;
      const objects = uniteDigests(tree.digests);
      const { lost } = await store.check(listDigests(objects));
      const count = objects.length / DIGEST_BYTES;
      if (lost.length > 0) {
        log.warn(
          `store: ${lost.length} of ${count} objects of ${id} are damaged or missing, fetching it again`,
        );
        return undefined;
      }
      log.info(`store: ${id} is here already, ${count} objects checked`);
      if (source.sizeBytes !== undefined) options.onReuse?.(source.sizeBytes, source.sizeBytes);
      options.onTree?.(tree.bytes);
      return { id, tree, layer: describe(source, tree, []) };
    }
    return undefined;
  };

  const pull = async (
    source: LayerSource,
    options: TakeOptions,
    unpack: (rootPath: string) => Promise<UnpackResult | undefined>,
  ): Promise<StoredTree | undefined> => {
    const rootPath = store.createStaging();
    try {
      const result = await unpack(rootPath);
      return result && (await keep(source, result, options));
    } finally {
      rmSync(rootPath, { recursive: true, force: true });
    }
  };

  const keep = async (
    source: LayerSource,
    { collected, warnings }: UnpackResult,
    { onTree }: TakeOptions,
  ): Promise<StoredTree> => {
    const { staged, tree: bytes, diffId } = collected!;
    const tree = readLayerTree(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length))!;
    store.addSmalls(tree.listSmalls());
    const objects = uniteDigests(tree.digests);
    // Also by the names it will be asked for next time.
    const ids = [...new Set([...nameTrees({ diffId }), ...nameTrees(source)])];
    const records = ids.map((id) => ({ id, content: bytes, objects }));
    // What is made of the tree is made while the disk takes the objects, and leaves much behind.
    const tellTree = async () => {
      await takeTurn();
      onTree?.(bytes);
      collectAfter(tree.length);
    };
    await Promise.all([store.commit(staged, records), tellTree()]);
    return { id: ids[0]!, tree, layer: describe(source, tree, warnings) };
  };

  const unpackWhole = (source: LayerSource, rootPath: string, options: TakeOptions) => {
    const { digest, diffId, sizeBytes } = source;
    const table = source.parts && locateTable(source.parts);
    const job = {
      kind: "objects",
      rootPath,
      to: "/",
      digest,
      diffId,
      sizeBytes,
      // The next version of a chunked layer asks for its files by sha256; for others it is taken when somebody asks.
      indexesFiles: table !== undefined,
    } as const;
    const open = async () => {
      const chunks = await source.open();
      return table ? copyTable(chunks, table, store) : chunks;
    };
    return pool.unpack(job, { open }, options);
  };

  return async (source, options) => {
    const stored = await findStored(source, options);
    if (stored) return stored;
    pool.warmUp();
    return (
      (await pull(source, options, (rootPath) => pullInParts(source, rootPath, tools, options))) ??
      (await pull(source, options, (rootPath) => unpackWhole(source, rootPath, options)))!
    );
  };
}

/** Layers are known by their DiffID; archives by the digest, of themselves or of their table, that a job promised. */
export function nameTrees({ diffId, digest, parts }: Partial<LayerSource>): string[] {
  const name = (kind: string, value: string | undefined) =>
    value === undefined ? [] : [`${kind}-${value.replace(":", "-")}`];
  if (diffId !== undefined) return name("tar", diffId);
  return [...name("archive", digest), ...name("table", parts?.tableDigest)];
}

function describe(source: LayerSource, tree: LayerTree, warnings: readonly string[]): RootLayer {
  return {
    digest: source.digest,
    diffId: source.diffId,
    files: tree.length,
    bytes: tree.contentBytes,
    warnings,
  };
}
