/**
 * A store of images that podman filled (containers/storage, overlay driver), mounted for reading: images of it are run from where
 * they lie, under a writable layer of ours. Disk-less machines share one by NFS (boot2container's additionalimagestores).
 */
import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { AgentError } from "../../errors.ts";
import type { StepImage } from "../../job/step.ts";
import {
  listStoredLayers,
  nameBigData,
  parseStoredImages,
  parseStoredLayers,
  type StoredImageRecord,
} from "../../oci/containers-storage.ts";
import { type ImageConfig, parseImageConfig } from "../../oci/image.ts";
import { formatImageReference } from "../../oci/reference.ts";
import type { MountedRoot, RootOptions } from "../root-driver.ts";
import { mountLayersRoot } from "./existing-tree.ts";

export interface StoredImage {
  /** Hex. */
  id: string;
  config: ImageConfig;
  mount(place: RootOptions): Promise<MountedRoot>;
}

export interface ImageStore {
  /** By the first digits of its id, by its manifest's digest, else by its name. Throws IMAGE_STORE_INVALID. */
  find(image: StepImage): StoredImage | undefined;
}

/** Throws IMAGE_STORE_INVALID. */
export function openImageStore(path: string): ImageStore {
  const images = parseStoredImages(read(path, "overlay-images/images.json"));
  const parents = parseStoredLayers(read(path, "overlay-layers/layers.json"));
  return {
    find(wanted) {
      const found = images.find((image) => isWanted(path, image, wanted));
      if (!found) return undefined;
      const layers = listStoredLayers(found.layer, parents);
      const config = readConfig(path, found);
      if (layers.length !== config.diffIds.length)
        throw bad(
          `image "${found.id.slice(0, 12)}" has ${layers.length} layers there, not ${config.diffIds.length}`,
        );
      return {
        id: found.id,
        config,
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

function isWanted(path: string, image: StoredImageRecord, wanted: StepImage): boolean {
  if ("id" in wanted) return image.id.startsWith(wanted.id);
  if (wanted.digest !== undefined) return hasManifest(path, image, wanted.digest);
  return image.names.includes(formatImageReference(wanted));
}

/**
 * The store keeps every manifest under its digest, of an index too; what it says of them is not believed: the bytes have the
 * digest, an index names the image's manifest, and that the image's config.
 */
function hasManifest(path: string, { id }: StoredImageRecord, digest: string): boolean {
  const folder = join(path, "overlay-images", id);
  const pinnedPath = join(folder, nameBigData(`manifest-${digest}`));
  if (!existsSync(pinnedPath)) return false;
  const pinned = readFileSync(pinnedPath);
  const manifest = readFileSync(join(folder, "manifest"));
  const hash = (bytes: Buffer) => `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
  const isNamed = hash(manifest) === digest || pinned.includes(`"${hash(manifest)}"`);
  return hash(pinned) === digest && isNamed && manifest.includes(`"sha256:${id}"`);
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
  return new AgentError("IMAGE_STORE_INVALID", `Cannot use the image store: ${why}`);
}
