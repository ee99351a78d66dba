/**
 * Parses an image's documents (index, manifest, config) in the formats of OCI and Docker v2 schema 2.
 * OCI image-spec, image-index.md, manifest.md, config.md. They are untrusted until their digests are checked.
 */
import { AgentError } from "../errors.ts";
import { parseDigest } from "./digest.ts";
import { type JsonObject, type JsonReader, readJsonObject } from "./json-shape.ts";
import {
  CONFIG_MEDIA_TYPES,
  INDEX_MEDIA_TYPES,
  isOneOf,
  LAYER_MEDIA_TYPES,
  MANIFEST_MEDIA_TYPES,
} from "./media-types.ts";
import type { Platform, PlatformChoice } from "./platform.ts";
import type { ImageReference } from "./reference.ts";

/** overlayfs accepts at most 500 lower layers; Docker itself stops at 127. */
const IMAGE_MAX_LAYERS = 500;

export interface Descriptor {
  mediaType: string;
  digest: string;
  sizeBytes: number;
  annotations: Readonly<Record<string, string>>;
}

export interface LayerDescriptor extends Descriptor {
  /** Digest of the uncompressed tar. */
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

export interface ImageConfig extends Platform {
  /** `NAME=VALUE` */
  env: string[];
  entrypoint: string[];
  cmd: string[];
  /** May be empty. */
  workingDir: string;
  /** `user`, `uid`, `user:group` or `uid:gid`; empty for root. */
  user: string;
  labels: Readonly<Record<string, string>>;
  diffIds: string[];
}

/** `warnings`: what is wrong in the config but ignored, as podman ignores it. */
export type ParsedImageConfig = ImageConfig & { warnings: string[] };

export interface ResolvedImage {
  reference: ImageReference;
  /** Of the platform's manifest, even if the reference names an index. */
  manifestDigest: string;
  config: ImageConfig;
  /** From the lowest up. */
  layers: LayerDescriptor[];
}

/**
 * Distinguishes an index from a manifest. `contentType` is the registry's; a document that has a different type itself, or
 * the fields of both, is refused (CVE-2021-41190).
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
      `Cannot use ${what}: Docker's schema 1 was discontinued in 2017`,
    );
  }
  const hasIndexFields = object.manifests !== undefined;
  const hasManifestFields = object.layers !== undefined || object.config !== undefined;
  if (hasIndexFields && hasManifestFields) {
    throw createTypeError(what, "it has the fields of both an index and a manifest");
  }
  // Some registries send a generic type; then the document's own type counts.
  const sentType =
    contentType && !/^(application\/(json|octet-stream)|text\/plain)$/.test(contentType)
      ? contentType
      : undefined;
  if (ownType && sentType && ownType !== sentType) {
    throw createTypeError(what, `the registry says "${sentType}", the document itself "${ownType}"`);
  }
  // In an OCI document the type is optional; then its fields decide.
  const type = ownType ?? sentType ?? (hasIndexFields ? INDEX_MEDIA_TYPES[0] : MANIFEST_MEDIA_TYPES[0]);
  if (isOneOf(INDEX_MEDIA_TYPES, type)) {
    if (hasManifestFields) throw createTypeError(what, `"${type}" has the fields of a manifest`);
    return parseIndex(object, reader);
  }
  if (isOneOf(MANIFEST_MEDIA_TYPES, type)) {
    if (hasIndexFields) throw createTypeError(what, `"${type}" has the fields of an index`);
    return parseImageManifest(object, reader, { what, isDocker: type === MANIFEST_MEDIA_TYPES[1] });
  }
  throw new AgentError(
    "IMAGE_UNSUPPORTED_MEDIA_TYPE",
    `Cannot use ${what}: its media type "${type}" is not supported`,
  );
}

/** Throws IMAGE_BAD_CONFIG. */
export function parseImageConfig(bytes: Uint8Array, imageName: string): ParsedImageConfig {
  const { object, reader } = readJsonObject(bytes, `config of image "${imageName}"`, "IMAGE_BAD_CONFIG");
  const run = reader.optionalObject(object, "config") ?? {};
  const rootfs = reader.optionalObject(object, "rootfs") ?? reader.refuse('"rootfs" is missing');
  const diffIds = reader.optionalStrings(rootfs, "diff_ids") ?? [];
  for (const diffId of diffIds) {
    if (!parseDigest(diffId)) reader.refuse(`"${diffId}" is not a digest`);
  }
  const warnings: string[] = [];
  const env = (reader.optionalStrings(run, "Env") ?? []).filter((entry) => {
    const isValid = /^[^=\0]+=[^\0]*$/.test(entry);
    if (!isValid)
      warnings.push(`its config's Env entry ${JSON.stringify(entry)} is not NAME=VALUE and is ignored`);
    return isValid;
  });
  return {
    ...readPlatform(object, reader),
    warnings,
    env,
    entrypoint: reader.optionalStrings(run, "Entrypoint") ?? [],
    cmd: reader.optionalStrings(run, "Cmd") ?? [],
    workingDir: reader.optionalString(run, "WorkingDir") ?? "",
    user: reader.optionalString(run, "User") ?? "",
    labels: reader.optionalStringMap(run, "Labels"),
    diffIds,
  };
}

/** The manifest's layers with the config's DiffIDs; throws IMAGE_BAD_MANIFEST if their numbers differ. */
export function pairLayers(
  manifest: ImageManifest,
  config: ImageConfig,
  imageName: string,
): LayerDescriptor[] {
  const { layers } = manifest;
  if (layers.length !== config.diffIds.length) {
    throw new AgentError(
      "IMAGE_BAD_MANIFEST",
      `Cannot use image "${imageName}": its manifest has ${layers.length} layers, but its config ${config.diffIds.length} DiffIDs`,
    );
  }
  return layers.map((layer, index) => ({ ...layer, diffId: config.diffIds[index]! }));
}

function parseIndex(object: JsonObject, reader: JsonReader): ImageIndex {
  const entries = reader.optionalObjects(object, "manifests") ?? [];
  return {
    kind: "index",
    manifests: entries.map((entry) => {
      const platform = reader.optionalObject(entry, "platform");
      return {
        descriptor: parseDescriptor(entry, reader),
        platform: platform && readPlatform(platform, reader),
      };
    }),
  };
}

function readPlatform(object: JsonObject, reader: JsonReader): Platform {
  return {
    // Old builders leave them empty.
    os: reader.optionalString(object, "os") ?? "",
    architecture: reader.optionalString(object, "architecture") ?? "",
    variant: reader.optionalString(object, "variant"),
  };
}

/** `isDocker`: of schema 2, whose configs have any type in old pushes and some registries. */
function parseImageManifest(
  object: JsonObject,
  reader: JsonReader,
  { what, isDocker }: { what: string; isDocker: boolean },
): ImageManifest {
  const configObject = reader.optionalObject(object, "config") ?? reader.refuse('"config" is missing');
  const config = parseDescriptor(configObject, reader);
  if (!isDocker && !isOneOf(CONFIG_MEDIA_TYPES, config.mediaType)) {
    throw new AgentError(
      "IMAGE_UNSUPPORTED_MEDIA_TYPE",
      `Cannot use ${what}: its config has the type "${config.mediaType}", so it is an artifact, not an image`,
    );
  }
  const layerObjects = reader.optionalObjects(object, "layers") ?? reader.refuse('"layers" is missing');
  if (layerObjects.length > IMAGE_MAX_LAYERS) reader.refuse(`it has more than ${IMAGE_MAX_LAYERS} layers`);
  const layers = layerObjects.map((layer) => parseDescriptor(layer, reader));
  for (const { mediaType } of layers) {
    if (!isOneOf(LAYER_MEDIA_TYPES, mediaType)) {
      throw new AgentError(
        "IMAGE_UNSUPPORTED_MEDIA_TYPE",
        `Cannot use ${what}: its layer type "${mediaType}" is not supported`,
      );
    }
  }
  return { kind: "manifest", config, layers };
}

function parseDescriptor(object: JsonObject, reader: JsonReader): Descriptor {
  const digest = reader.requiredString(object, "digest");
  if (!parseDigest(digest)) reader.refuse(`"${digest}" is not a digest`);
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

function createTypeError(what: string, reason: string): AgentError {
  return new AgentError("IMAGE_MEDIA_TYPE_MISMATCH", `Cannot use ${what}: ${reason}`);
}
