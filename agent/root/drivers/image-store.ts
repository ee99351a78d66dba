/**
 * A read-only image store of podman (containers/storage, overlay driver): its images are mounted in place, under a writable
 * layer of ours. Diskless machines share one by NFS (boot2container's additionalimagestores).
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
  mount(options: RootOptions): Promise<MountedRoot>;
}

export interface ImageStore {
  /** Finds an image by a prefix of its ID, by the digest of its manifest, or by its name. Throws IMAGE_STORE_INVALID. */
  find(image: StepImage): StoredImage | undefined;
}

/** Throws IMAGE_STORE_INVALID. */
export function openImageStore(path: string): ImageStore {
  const images = parseStoredImages(read(path, "overlay-images/images.json"));
  const parents = parseStoredLayers(read(path, "overlay-layers/layers.json"));
  return {
    find(requested) {
      const found = images.find((image) => matches(path, image, requested));
      if (!found) return undefined;
      const layers = listStoredLayers(found.layer, parents);
      const config = readConfig(path, found);
      if (layers.length !== config.diffIds.length)
        throw createStoreError(
          `image "${found.id.slice(0, 12)}" has ${layers.length} layers, but its config names ${config.diffIds.length}`,
        );
      return {
        id: found.id,
        config,
        mount: async (options) =>
          mountLayersRoot(
            join(path, "overlay"),
            layers.map((id) => join(path, "overlay", id, "diff")),
            options,
          ),
      };
    },
  };
}

function matches(path: string, image: StoredImageRecord, requested: StepImage): boolean {
  if ("id" in requested) return image.id.startsWith(requested.id);
  if (requested.digest !== undefined) return hasManifest(path, image, requested.digest);
  return image.names.includes(formatImageReference(requested));
}

/**
 * The store keeps every manifest and index under its digest. They are verified: the bytes must have the digest, an index must name
 * the image's manifest, and the manifest the image's config.
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

/** The ID of an image is the digest of its config, so the config can be verified. */
function readConfig(path: string, { id }: StoredImageRecord): ImageConfig {
  const bytes = Buffer.from(read(path, join("overlay-images", id, nameBigData(`sha256:${id}`))));
  if (createHash("sha256").update(bytes).digest("hex") !== id)
    throw createStoreError(`the config of image "${id.slice(0, 12)}" does not match its digest`);
  return parseImageConfig(bytes, id.slice(0, 12));
}

function read(path: string, name: string): string {
  try {
    return readFileSync(join(path, name), "utf8");
  } catch (cause) {
    throw createStoreError(`"${join(path, name)}": ${(cause as NodeJS.ErrnoException).code}`);
  }
}

function createStoreError(reason: string): AgentError {
  return new AgentError("IMAGE_STORE_INVALID", `Cannot use the image store: ${reason}`);
}
