/**
 * Makes an image while the DiffID of its last layer is still being taken: a tree may be known half a second before it is
 * proven; or while the disk takes the layer's objects. It is given out only for the trees that were proven in the end,
 * byte for byte.
 */
import type { TreeNode } from "../../composefs/file-tree.ts";
import { type LayerTree, readLayerTree } from "../../composefs/layer-tree.ts";

export interface ForeseenImage {
  tree: TreeNode;
  content: Buffer;
}

export interface ImageForecast {
  /** A layer's tree, perhaps not proven yet, in the form of composefs/layer-tree.ts. */
  note(diffId: string, tree: Uint8Array): void;
  /** The image of exactly these trees. */
  take(trees: readonly LayerTree[]): ForeseenImage | undefined;
}

/** `diffIds` from the lowest layer up; `build` is called as soon as there is a tree for each of them. */
export function createImageForecast(
  diffIds: readonly string[],
  build: (trees: LayerTree[]) => ForeseenImage,
): ImageForecast {
  const known = new Map<string, LayerTree>();
  let image: ForeseenImage | undefined;
  return {
    note(diffId, { buffer, byteOffset, length }) {
      const bytes = Buffer.from(buffer, byteOffset, length);
      if (known.get(diffId)?.bytes.equals(bytes)) return;
      known.set(diffId, readLayerTree(bytes)!);
      const trees = diffIds.flatMap((each) => known.get(each) ?? []);
      image = trees.length === diffIds.length ? tryOrLeave(() => build(trees)) : undefined;
    },
    take(trees) {
      const isSame = (tree: LayerTree, number: number) =>
        known.get(diffIds[number]!)?.bytes.equals(tree.bytes) ?? false;
      return trees.length === diffIds.length && trees.every(isSame) ? image : undefined;
    },
  };
}

/** Whoever mounts the layers makes the image anew then, and meets the same fault where it can be told. */
function tryOrLeave<T>(act: () => T): T | undefined {
  try {
    return act();
  } catch {
    return undefined;
  }
}
