/**
 * A store of images that podman filled (containers/storage, overlay driver), mounted for reading: images of it are run from where
 * they lie, under a writable layer of ours. Disk-less machines share one by NFS (boot2container's additionalimagestores).
 */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { AgentError } from "../errors.ts";
import type { StepImage } from "../job/step.ts";
import {
  listStoredLayers,
  nameBigData,
  parseStoredImages,
  parseStoredLayers,
  type StoredImageRecord,
} from "../oci/containers-storage.ts";
import { type ImageConfig, parseImageConfig } from "../oci/image.ts";
import { formatImageReference } from "../oci/reference.ts";
import type { MountedRoot, RootOptions } from "./root-driver.ts";
import { mountLayersRoot } from "./tree-root.ts";

export interface StoredImage {
  /** Hex. */
  id: string;
  config: ImageConfig;
  mount(place: RootOptions): Promise<MountedRoot>;
}

export interface ImageStore {
  /** By the first digits of its id, by its manifest's digest, else by its name. Throws IMAGE_STORE_BAD. */
  find(image: StepImage): StoredImage | undefined;
}

/** Throws IMAGE_STORE_BAD. */
export function openImageStore(path: string): ImageStore {
  const images = parseStoredImages(read(path, "overlay-images/images.json"));
  const parents = parseStoredLayers(read(path, "overlay-layers/layers.json"));
  return {
    find(wanted) {
      const found = images.find((image) => isWanted(image, wanted));
      if (!found) return undefined;
      const layers = listStoredLayers(found.layer, parents);
      return {
        id: found.id,
        config: readConfig(path, found),
        mount: async (place) =>
          mountLayersRoot(
            join(path, "overlay"),
            layers.map((id) => join(path, "overlay", id, "diff")),
            place,
          ),
      };
    },
  };
}

function isWanted({ id, names, digest }: StoredImageRecord, wanted: StepImage): boolean {
  if ("id" in wanted) return id.startsWith(wanted.id);
  if (wanted.digest !== undefined) return digest === wanted.digest;
  return names.includes(formatImageReference(wanted));
}

/** An image's id is its config's digest, so the config is the image's whoever can write to the store. */
function readConfig(path: string, { id }: StoredImageRecord): ImageConfig {
  const bytes = Buffer.from(read(path, join("overlay-images", id, nameBigData(`sha256:${id}`))));
  if (createHash("sha256").update(bytes).digest("hex") !== id)
    throw bad(`the config of image "${id.slice(0, 12)}" has another digest`);
  return parseImageConfig(bytes, id.slice(0, 12));
}

function read(path: string, name: string): string {
  try {
    return readFileSync(join(path, name), "utf8");
  } catch (cause) {
    throw bad(`"${join(path, name)}": ${(cause as NodeJS.ErrnoException).code}`);
  }
}

function bad(why: string): AgentError {
  return new AgentError("IMAGE_STORE_BAD", `Cannot use the image store: ${why}`);
}
