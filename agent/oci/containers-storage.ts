/**
 * What containers/storage (podman's store) writes about its images and layers, overlay driver: images.json and layers.json.
 * The store is somebody else's: ids become parts of paths, so nothing but 64 hex digits is one.
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
    const known = Array.isArray(names) ? names.filter((name) => typeof name === "string") : [];
    return { id, layer, names: known };
  });
}

/** Parents by layer. Throws IMAGE_STORE_INVALID. */
export function parseStoredLayers(text: string): ReadonlyMap<string, string | undefined> {
  return new Map(
    parseList(text, "layers.json").map(({ id, parent = "" }) => {
      // A layer that is taken for the lowest would hide what is missing below it.
      if (!isId(id) || !(parent === "" || isId(parent))) throw bad('"layers.json" has an id that is none');
      return [id, parent === "" ? undefined : parent] as const;
    }),
  );
}

/** Ids from the lowest layer up. Throws IMAGE_STORE_INVALID for a chain that is broken or goes in a circle. */
export function listStoredLayers(top: string, parents: ReadonlyMap<string, string | undefined>): string[] {
  const chain: string[] = [];
  for (let id: string | undefined = top; id !== undefined; id = parents.get(id)) {
    if (!parents.has(id) || chain.includes(id))
      throw bad(`the layers below "${top.slice(0, 12)}" are not whole`);
    chain.unshift(id);
  }
  return chain;
}

/** The file that holds an image's data of this key: names that are not plain are in base64 (containers/storage, bigdata). */
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
    throw bad(`"${file}" is no JSON`);
  }
  if (!Array.isArray(value)) throw bad(`"${file}" is no list`);
  return value.filter((item) => typeof item === "object" && item !== null);
}

function bad(why: string): AgentError {
  return new AgentError("IMAGE_STORE_INVALID", `Cannot read the image store: ${why}`);
}
