/**
 * Writes an OCI image layout: compressed layers with their digests, config, manifest and index.
 * OCI image spec 1.1: image-layout.md, config.md, manifest.md, image-index.md.
 */
import { createHash } from "node:crypto";
import { createReadStream, createWriteStream } from "node:fs";
import { mkdir, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { PassThrough, Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import { constants, createGzip, createZstdCompress } from "node:zlib";

export interface LayerInput {
  /** The layer's `created_by` in the history. */
  createdBy: string;
  /** A tar archive, as a path or bytes. */
  tar: string | Buffer;
  compression: "gzip" | "zstd" | "none";
}

export interface ImageInput {
  layers: readonly LayerInput[];
  /** The `config` of the image configuration: Env, Entrypoint, Cmd, Labels… */
  config: Readonly<Record<string, unknown>>;
  /** A GOARCH value. */
  architecture: string;
  /** RFC 3339. */
  created: string;
}

interface Descriptor {
  mediaType: string;
  digest: string;
  size: number;
}

const LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar";
const MEDIA_TYPE_BY_COMPRESSION = {
  gzip: `${LAYER_TYPE}+gzip`,
  zstd: `${LAYER_TYPE}+zstd`,
  none: LAYER_TYPE,
};
/** Built once and read often by slow machines, so a good ratio is worth the time. */
const ZSTD_LEVEL = 12;
const READ_CHUNK_BYTES = 1024 * 1024;

export interface WrittenImage {
  manifestDigest: string;
  /** Compressed layers, in order. */
  layerSizesBytes: number[];
}

/** Fills an empty folder with one image, named `latest`. */
export async function writeImageLayout(folder: string, image: ImageInput): Promise<WrittenImage> {
  await mkdir(join(folder, "blobs", "sha256"), { recursive: true });
  const layers: Descriptor[] = [];
  const diffIds: string[] = [];
  for (const layer of image.layers) {
    const { descriptor, diffId } = await writeLayer(folder, layer);
    layers.push(descriptor);
    diffIds.push(diffId);
  }
  const platform = { architecture: image.architecture, os: "linux" };
  const config = await writeJsonBlob(folder, "application/vnd.oci.image.config.v1+json", {
    created: image.created,
    ...platform,
    config: image.config,
    rootfs: { type: "layers", diff_ids: diffIds },
    history: image.layers.map(({ createdBy }) => ({ created: image.created, created_by: createdBy })),
  });
  const manifestType = "application/vnd.oci.image.manifest.v1+json";
  const manifest = await writeJsonBlob(folder, manifestType, {
    schemaVersion: 2,
    mediaType: manifestType,
    config,
    layers,
  });
  const indexType = "application/vnd.oci.image.index.v1+json";
  // containers/image would add this annotation to an index with zstd layers, which changes the digest.
  const hasZstd = image.layers.some(({ compression }) => compression === "zstd");
  const marks = hasZstd ? { annotations: { "io.github.containers.compression.zstd": "true" } } : {};
  const index = { schemaVersion: 2, mediaType: indexType, manifests: [{ ...manifest, ...marks, platform }] };
  const pushed = await writeJsonBlob(folder, indexType, index);
  const entry = { ...pushed, annotations: { "org.opencontainers.image.ref.name": "latest" } };
  await writeFile(join(folder, "index.json"), JSON.stringify({ ...index, manifests: [entry] }));
  await writeFile(join(folder, "oci-layout"), JSON.stringify({ imageLayoutVersion: "1.0.0" }));
  return { manifestDigest: manifest.digest, layerSizesBytes: layers.map(({ size }) => size) };
}

async function writeLayer(
  folder: string,
  layer: LayerInput,
): Promise<{ descriptor: Descriptor; diffId: string }> {
  const unfinished = join(folder, "layer.new");
  const tarHash = createHash("sha256");
  const blobHash = createHash("sha256");
  let sizeBytes = 0;
  const source =
    typeof layer.tar === "string"
      ? createReadStream(layer.tar, { highWaterMark: READ_CHUNK_BYTES })
      : new PassThrough().end(layer.tar);
  const watch = (see: (chunk: Buffer) => void) =>
    new Transform({
      transform(chunk: Buffer, _, done) {
        see(chunk);
        done(null, chunk);
      },
    });
  await pipeline(
    source,
    watch((chunk) => tarHash.update(chunk)),
    createCompressor(layer.compression),
    watch((chunk) => {
      blobHash.update(chunk);
      sizeBytes += chunk.length;
    }),
    createWriteStream(unfinished),
  );
  const hex = blobHash.digest("hex");
  await rename(unfinished, join(folder, "blobs", "sha256", hex));
  return {
    descriptor: {
      mediaType: MEDIA_TYPE_BY_COMPRESSION[layer.compression],
      digest: `sha256:${hex}`,
      size: sizeBytes,
    },
    diffId: `sha256:${tarHash.digest("hex")}`,
  };
}

function createCompressor(compression: LayerInput["compression"]) {
  if (compression === "gzip") return createGzip({ level: 6, chunkSize: READ_CHUNK_BYTES });
  if (compression === "none") return new PassThrough();
  return createZstdCompress({
    chunkSize: READ_CHUNK_BYTES,
    params: { [constants.ZSTD_c_compressionLevel]: ZSTD_LEVEL, [constants.ZSTD_c_checksumFlag]: 1 },
  });
}

async function writeJsonBlob(folder: string, mediaType: string, value: unknown): Promise<Descriptor> {
  const bytes = Buffer.from(JSON.stringify(value));
  const hex = createHash("sha256").update(bytes).digest("hex");
  await writeFile(join(folder, "blobs", "sha256", hex), bytes);
  return { mediaType, digest: `sha256:${hex}`, size: bytes.length };
}
