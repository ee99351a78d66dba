/**
 * What a rebuilt archive leaves: the same tree that reading it as a tar would have made (object-collector.ts).
 */

import { ARCHIVE_MAX_ENTRIES } from "../../archive/limits.ts";
import type { RebuiltEntry } from "../../archive/zstd-chunked/layer-rebuilder.ts";
import { LayerTreeWriter } from "../../composefs/layer-tree.ts";
import type { StagedObjects } from "../../composefs/object-repository.ts";
import { AgentError } from "../../errors.ts";
import type { UnpackResult } from "../unpack/messages.ts";
import type { FileContent } from "./file-content.ts";

export class RebuiltTree {
  readonly #tree = new LayerTreeWriter();
  #contentBytes = 0;
  #sealed: Uint8Array | undefined;

  get size(): number {
    return this.#tree.members;
  }

  /** `content` for files that are not empty. */
  add({ entry }: Pick<RebuiltEntry, "entry">, content: FileContent | undefined): void {
    if (this.#tree.members >= ARCHIVE_MAX_ENTRIES) {
      throw new AgentError(
        "ARCHIVE_LIMIT_EXCEEDED",
        `Cannot take an archive of over ${ARCHIVE_MAX_ENTRIES} members`,
      );
    }
    this.#contentBytes += entry.sizeBytes;
    this.#tree.add(entry, content);
  }

  /** Its bytes; nothing is added from then on. */
  seal(): Uint8Array {
    this.#sealed ??= this.#tree.finish().bytes;
    return this.#sealed;
  }

  /** Without a DiffID nothing was rebuilt. */
  finish(diffId: string | undefined, staged?: StagedObjects): UnpackResult {
    return {
      files: this.#tree.members,
      contentBytes: this.#contentBytes,
      hasRoot: false,
      isRootOpaque: false,
      impliedDirectories: [],
      warnings: [],
      ...(diffId !== undefined &&
        staged && {
          collected: { diffId, tree: this.seal(), staged },
        }),
    };
  }
}
