/**
 * Pulls a layer or archive into the store: not at all when it is stored, partially where that is cheaper, else as a whole.
 * The result is its tree, whose objects are all stored and verified.
 */
import { rmSync } from "node:fs";
import { setImmediate as nextTurn } from "node:timers/promises";
import { DIGEST_BYTES, listDigests, tabulateDigests } from "../../archive/digests.ts";
import { type LayerTree, readLayerTree } from "../../composefs/layer-tree.ts";
import { type ChunkedPullTools, pullPartially } from "../chunked/pull.ts";
import { captureToc, locateToc } from "../chunked/tables.ts";
import type { LayerSource, RootLayer, UnpackOptions } from "../root-driver.ts";
import { collectAfter } from "./force-gc.ts";
import type { UnpackResult } from "./messages.ts";

/** A layer or archive in the store. */
export interface StoredTree {
  id: string;
  tree: LayerTree;
  layer: RootLayer;
}

export interface PullOptions extends UnpackOptions {
  /** Called with the tree while the disk still writes its objects. */
  onTree?: (tree: LayerTree) => void;
}

export class TreePuller {
  readonly #tools: ChunkedPullTools;

  constructor(tools: ChunkedPullTools) {
    this.#tools = tools;
  }

  async pull(source: LayerSource, options: PullOptions): Promise<StoredTree> {
    const stored = await this.#findStored(source, options);
    if (stored) return stored;
    this.#tools.pool.warmUp();
    return (
      (await this.#store(source, options, (stagingDir) =>
        pullPartially(source, stagingDir, this.#tools, options),
      )) ??
      (await this.#store(source, options, (stagingDir) => this.#pullWhole(source, stagingDir, options)))!
    );
  }

  /** Checks the objects of a stored tree: a damaged one is pulled again. */
  async #findStored(source: LayerSource, options: PullOptions): Promise<StoredTree | undefined> {
    const { store, log } = this.#tools;
    for (const id of nameTrees(source)) {
      const bytes = store.readTreeIfExists(id);
      const tree = bytes && readLayerTree(bytes);
      if (tree === undefined) continue;
      const objects = tabulateDigests(tree.digests).bytes;
      const { lost } = await store.check(listDigests(objects));
      const count = objects.length / DIGEST_BYTES;
      if (lost.length > 0) {
        log.warn(
          `store: ${lost.length} of ${count} objects of ${id} are damaged or missing, fetching it again`,
        );
        return undefined;
      }
      log.info(`store: ${id} is stored, ${count} objects checked`);
      if (source.sizeBytes !== undefined) options.onReuse?.(source.sizeBytes, source.sizeBytes);
      options.onTree?.(tree);
      return { id, tree, layer: describeLayer(source, tree, []) };
    }
    return undefined;
  }

  /** Commits what `unpack` staged. */
  async #store(
    source: LayerSource,
    options: PullOptions,
    unpack: (stagingDir: string) => Promise<UnpackResult | undefined>,
  ): Promise<StoredTree | undefined> {
    const { store } = this.#tools;
    const stagingDir = store.createStaging();
    try {
      const result = await unpack(stagingDir);
      if (!result) return undefined;
      const { staged, tree: bytes, diffId } = result.collected!;
      const tree = readLayerTree(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length))!;
      store.addInlineContents(tree.listInlineContents());
      const objects = tabulateDigests(tree.digests).bytes;
      // Also under the names that the next pull looks for.
      const ids = [...new Set([...nameTrees({ diffId }), ...nameTrees(source)])];
      const records = ids.map((id) => ({ id, content: bytes, objects }));
      const announceTree = async () => {
        await nextTurn();
        options.onTree?.(tree);
        collectAfter(tree.length);
      };
      await Promise.all([store.commit(staged, records), announceTree()]);
      return { id: ids[0]!, tree, layer: describeLayer(source, tree, result.warnings) };
    } finally {
      rmSync(stagingDir, { recursive: true, force: true });
    }
  }

  #pullWhole(source: LayerSource, stagingDir: string, options: PullOptions): Promise<UnpackResult> {
    const { store, pool } = this.#tools;
    const { digest, diffId, sizeBytes } = source;
    const toc = source.parts && locateToc(source.parts);
    const job = {
      kind: "objects",
      rootPath: stagingDir,
      to: "/",
      digest,
      diffId,
      sizeBytes,
      // A partial pull of the next version looks for files by sha256; of other archives they are indexed on demand.
      indexesFiles: toc !== undefined,
    } as const;
    const open = async () => {
      const chunks = await source.open();
      return toc ? captureToc(chunks, toc, store) : chunks;
    };
    return pool.unpack(job, { open }, options);
  }
}

/** Layers are named by their DiffID; archives by the digest of their bytes or of their TOC, from the job. */
export function nameTrees({ diffId, digest, parts }: Partial<LayerSource>): string[] {
  const name = (kind: string, value: string | undefined) =>
    value === undefined ? [] : [`${kind}-${value.replace(":", "-")}`];
  if (diffId !== undefined) return name("tar", diffId);
  return [...name("archive", digest), ...name("table", parts?.tableDigest)];
}

function describeLayer(
  { digest, diffId }: LayerSource,
  tree: LayerTree,
  warnings: readonly string[],
): RootLayer {
  return { digest, diffId, files: tree.length, bytes: tree.contentBytes, warnings };
}
