/**
 * Reads an image's documents: index, manifest, config, OCI and Docker v2 schema 2 alike.
 * OCI image-spec, image-index.md, manifest.md, config.md. Everything here is untrusted until its digest is checked.
 */
import { AgentError } from "../errors.ts";
import { parseDigest } from "./digest.ts";
import { type JsonObject, type JsonReader, readJsonObject } from "./json-shape.ts";
import { IMAGE_MAX_LAYERS } from "./limits.ts";
import {
  CONFIG_MEDIA_TYPES,
  INDEX_MEDIA_TYPES,
  isOneOf,
  LAYER_MEDIA_TYPES,
  MANIFEST_MEDIA_TYPES,
} from "./media-types.ts";
import type { Platform, PlatformChoice } from "./platform.ts";
import type { ImageReference } from "./reference.ts";

export interface Descriptor {
  mediaType: string;
  digest: string;
  sizeBytes: number;
  annotations: Readonly<Record<string, string>>;
}

export interface LayerDescriptor extends Descriptor {
  /** Digest of the uncompressed tar: the layer's true identity. */
  diffId: string;
}

export interface ImageIndex {
  kind: "index";
  manifests: PlatformChoice<Descriptor>[];
}

export interface ImageManifest {
  kind: "manifest";
  config: Descriptor;
  layers: Descriptor[];
}

export interface ImageConfig {
  os: string;
  architecture: string;
  variant?: string;
  /** `NAME=VALUE` */
  env: string[];
  entrypoint: string[];
  cmd: string[];
  /** Empty where the image names none. */
  workingDir: string;
  /** `user`, `uid`, `user:group` or `uid:gid`; empty for root. */
  user: string;
  labels: Readonly<Record<string, string>>;
  diffIds: string[];
}

export interface ResolvedImage {
  reference: ImageReference;
  /** Of the platform's manifest, whatever the reference named. */
  manifestDigest: string;
  config: ImageConfig;
  /** From the lowest up. */
  layers: LayerDescriptor[];
}

/**
 * Tells index from manifest. `contentType` is the registry's; a document that names another type itself, or has the
 * fields of both, is refused (CVE-2021-41190).
 */
export function parseManifest(
  bytes: Uint8Array,
  contentType: string | undefined,
  imageName: string,
): ImageIndex | ImageManifest {
  const what = `manifest of image "${imageName}"`;
  const { object, reader } = readJsonObject(bytes, what, "IMAGE_BAD_MANIFEST");
  const ownType = reader.optionalString(object, "mediaType");
  if (object.schemaVersion === 1) {
    throw new AgentError(
      "IMAGE_UNSUPPORTED_MEDIA_TYPE",
      `Cannot use ${what}: it is of Docker's schema 1, which was given up in 2017`,
    );
  }
  const hasIndexFields = object.manifests !== undefined;
  const hasManifestFields = object.layers !== undefined || object.config !== undefined;
  if (hasIndexFields && hasManifestFields) {
    throw confused(what, "it has the fields of an index and of a manifest");
  }
  // Registries that know no better send a generic type; then the document's own counts.
  const sentType =
    contentType && !/^(application\/(json|octet-stream)|text\/plain)$/.test(contentType)
      ? contentType
      : undefined;
  if (ownType && sentType && ownType !== sentType) {
    throw confused(what, `the registry calls it "${sentType}", it calls itself "${ownType}"`);
  }
  // An OCI document may leave its own type out; its fields then tell.
  const type = ownType ?? sentType ?? (hasIndexFields ? INDEX_MEDIA_TYPES[0] : MANIFEST_MEDIA_TYPES[0]);
  if (isOneOf(INDEX_MEDIA_TYPES, type)) {
    if (hasManifestFields) throw confused(what, `"${type}" with the fields of a manifest`);
    return parseIndex(object, reader);
  }
  if (isOneOf(MANIFEST_MEDIA_TYPES, type)) {
    if (hasIndexFields) throw confused(what, `"${type}" with the fields of an index`);
    return parseImageManifest(object, reader, what);
  }
  throw new AgentError("IMAGE_UNSUPPORTED_MEDIA_TYPE", `Cannot use ${what}: its media type is "${type}"`);
}

/** Throws IMAGE_BAD_CONFIG. */
export function parseImageConfig(bytes: Uint8Array, imageName: string): ImageConfig {
  const { object, reader } = readJsonObject(bytes, `config of image "${imageName}"`, "IMAGE_BAD_CONFIG");
  const run = reader.optionalObject(object, "config") ?? {};
  const rootfs = reader.optionalObject(object, "rootfs") ?? reader.refuse('"rootfs" is missing');
  const diffIds = reader.optionalStrings(rootfs, "diff_ids") ?? [];
  for (const diffId of diffIds) {
    if (!parseDigest(diffId)) reader.refuse(`"${diffId}" is no digest`);
  }
  const env = reader.optionalStrings(run, "Env") ?? [];
  for (const entry of env) {
    if (!/^[^=\0]+=[^\0]*$/.test(entry)) reader.refuse(`"${entry}" in "Env" is not NAME=VALUE`);
  }
  const variant = reader.optionalString(object, "variant");
  return {
    os: reader.requiredString(object, "os"),
    architecture: reader.requiredString(object, "architecture"),
    variant,
    env,
    entrypoint: reader.optionalStrings(run, "Entrypoint") ?? [],
    cmd: reader.optionalStrings(run, "Cmd") ?? [],
    workingDir: reader.optionalString(run, "WorkingDir") ?? "",
    user: reader.optionalString(run, "User") ?? "",
    labels: reader.optionalStringMap(run, "Labels"),
    diffIds,
  };
}

/** The manifest's layers with the config's DiffIDs beside them; throws IMAGE_BAD_MANIFEST when they do not pair up. */
export function pairLayers(
  manifest: ImageManifest,
  config: ImageConfig,
  imageName: string,
): LayerDescriptor[] {
  const { layers } = manifest;
  if (layers.length !== config.diffIds.length) {
    throw new AgentError(
      "IMAGE_BAD_MANIFEST",
      `Cannot use image "${imageName}": its manifest has ${layers.length} layers, its config ${config.diffIds.length} DiffIDs`,
    );
  }
  return layers.map((layer, index) => ({ ...layer, diffId: config.diffIds[index]! }));
}

function parseIndex(object: JsonObject, reader: JsonReader): ImageIndex {
  const entries = reader.optionalObjects(object, "manifests") ?? [];
  return {
    kind: "index",
    manifests: entries.map((entry) => {
      const platform = parsePlatform(entry, reader);
      return { descriptor: parseDescriptor(entry, reader), platform };
    }),
  };
}

function parsePlatform(entry: JsonObject, reader: JsonReader): Platform | undefined {
  const platform = reader.optionalObject(entry, "platform");
  if (!platform) return undefined;
  const variant = reader.optionalString(platform, "variant");
  return {
    os: reader.requiredString(platform, "os"),
    architecture: reader.requiredString(platform, "architecture"),
    variant,
  };
}

function parseImageManifest(object: JsonObject, reader: JsonReader, what: string): ImageManifest {
  const configObject = reader.optionalObject(object, "config") ?? reader.refuse('"config" is missing');
  const config = parseDescriptor(configObject, reader);
  if (!isOneOf(CONFIG_MEDIA_TYPES, config.mediaType)) {
    throw new AgentError(
      "IMAGE_UNSUPPORTED_MEDIA_TYPE",
      `Cannot use ${what}: its config is "${config.mediaType}", so it is an artifact and no image`,
    );
  }
  const layerObjects = reader.optionalObjects(object, "layers") ?? reader.refuse('"layers" is missing');
  if (layerObjects.length > IMAGE_MAX_LAYERS) reader.refuse(`it has more than ${IMAGE_MAX_LAYERS} layers`);
  const layers = layerObjects.map((layer) => parseDescriptor(layer, reader));
  for (const { mediaType } of layers) {
    if (!isOneOf(LAYER_MEDIA_TYPES, mediaType)) {
      throw new AgentError(
        "IMAGE_UNSUPPORTED_MEDIA_TYPE",
        `Cannot use ${what}: it has a layer of type "${mediaType}"`,
      );
    }
  }
  return { kind: "manifest", config, layers };
}

function parseDescriptor(object: JsonObject, reader: JsonReader): Descriptor {
  const digest = reader.requiredString(object, "digest");
  if (!parseDigest(digest)) reader.refuse(`"${digest}" is no digest`);
  const size = object.size;
  if (typeof size !== "number" || !Number.isSafeInteger(size) || size < 0) {
    return reader.refuse(`the size of "${digest}" is ${JSON.stringify(size) ?? "missing"}`);
  }
  return {
    mediaType: reader.requiredString(object, "mediaType"),
    digest,
    sizeBytes: size,
    annotations: reader.optionalStringMap(object, "annotations"),
  };
}

function confused(what: string, why: string): AgentError {
  return new AgentError("IMAGE_MEDIA_TYPE_MISMATCH", `Cannot use ${what}: ${why}`);
}
