/**
 * What a rebuilt archive leaves: the same tree that reading it as a tar would have made (object-collector.ts).
 */
import type { RebuiltEntry } from "../archive/zstd-chunked/layer-rebuilder.ts";
import { encodeLayerTree, type LayerTree } from "../composefs/layer-tree.ts";
import type { StagedObject } from "../composefs/object-keeper.ts";
import { AgentError } from "../errors.ts";
import { ARCHIVE_MAX_ENTRIES } from "../limits.ts";
import type { FileContent } from "./file-content.ts";
import type { UnpackResult } from "./unpack-job.ts";

export class RebuiltTree {
  readonly #tree: LayerTree = [];
  #contentBytes = 0;

  get size(): number {
    return this.#tree.length;
  }

  /** `content` for files that are not empty. */
  add({ entry }: Pick<RebuiltEntry, "entry">, content: FileContent | undefined): void {
    if (this.#tree.length >= ARCHIVE_MAX_ENTRIES) {
      throw new AgentError(
        "ARCHIVE_LIMIT_EXCEEDED",
        `Cannot take an archive of over ${ARCHIVE_MAX_ENTRIES} members`,
      );
    }
    this.#contentBytes += entry.sizeBytes;
    if (!content) this.#tree.push({ entry });
    else if ("inline" in content) this.#tree.push({ entry, content });
    else this.#tree.push({ entry, content: { verity: content.verity } });
  }

  /** Without a DiffID nothing was rebuilt. */
  finish(diffId: string | undefined, staged: StagedObject[]): UnpackResult {
    return {
      files: this.#tree.length,
      contentBytes: this.#contentBytes,
      hasRoot: false,
      isRootOpaque: false,
      impliedDirectories: [],
      warnings: [],
      ...(diffId !== undefined && {
        collected: { diffId, tree: encodeLayerTree(this.#tree), staged },
      }),
    };
  }
}
