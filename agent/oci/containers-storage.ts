/**
 * Parses images.json and layers.json of containers/storage (podman's store) with the overlay driver.
 * The content is untrusted, and ids become parts of paths: only 64 hex digits are accepted.
 */
import { AgentError } from "../errors.ts";

export interface StoredImageRecord {
  /** Hex; the sha256 of the image's config. */
  id: string;
  names: string[];
  /** Id of the top layer. */
  layer: string;
}

const ID = /^[0-9a-f]{64}$/;

/** Throws IMAGE_STORE_INVALID. */
export function parseStoredImages(text: string): StoredImageRecord[] {
  return parseList(text, "images.json").flatMap(({ id, names, layer }) => {
    if (!isId(id) || !isId(layer)) return [];
    return { id, layer, names: Array.isArray(names) ? names.filter((name) => typeof name === "string") : [] };
  });
}

/** Parents by layer. Throws IMAGE_STORE_INVALID. */
export function parseStoredLayers(text: string): ReadonlyMap<string, string | undefined> {
  return new Map(
    parseList(text, "layers.json").map(({ id, parent = "" }) => {
      // Ignoring a bad parent would hide that the layers below it are missing.
      if (!isId(id) || !(parent === "" || isId(parent)))
        throw createStoreError('"layers.json" has an invalid id');
      return [id, parent === "" ? undefined : parent] as const;
    }),
  );
}

/** Ids from the lowest layer up. Throws IMAGE_STORE_INVALID for an incomplete or circular chain. */
export function listStoredLayers(top: string, parents: ReadonlyMap<string, string | undefined>): string[] {
  const chain: string[] = [];
  for (let id: string | undefined = top; id !== undefined; id = parents.get(id)) {
    if (!parents.has(id) || chain.includes(id))
      throw createStoreError(`layers below "${top.slice(0, 12)}" are missing`);
    chain.unshift(id);
  }
  return chain;
}

/** The file name of an image's data with this key: base64 unless it is plain (containers/storage, bigdata). */
export function nameBigData(key: string): string {
  return /^[.0-9a-z]+$/.test(key) ? key : `=${Buffer.from(key).toString("base64")}`;
}

function isId(value: unknown): value is string {
  return typeof value === "string" && ID.test(value);
}

function parseList(text: string, file: string): Record<string, unknown>[] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw createStoreError(`"${file}" is not JSON`);
  }
  if (!Array.isArray(value)) throw createStoreError(`"${file}" is not a list`);
  return value.filter((item) => typeof item === "object" && item !== null);
}

function createStoreError(reason: string): AgentError {
  return new AgentError("IMAGE_STORE_INVALID", `Cannot read the image store: ${reason}`);
}
