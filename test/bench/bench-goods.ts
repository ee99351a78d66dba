/**
 * The images in a registry's storage: both versions, pushed as gzip, zstd and zstd:chunked by trixie's skopeo.
 * Compression takes minutes, so the registry's storage is kept in the cache.
 */
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { ensureCacheEntry } from "../../qemu/cache-entry.ts";
import { planHostBinds } from "../../qemu/host-binds.ts";
import { writeImageLayout } from "../../qemu/test-image/image-layout.ts";
import type { ToolsRoot } from "../../qemu/tools-root.ts";
import type { BenchImage } from "./bench-image.ts";
import { startPlainRegistry } from "./plain-registry.ts";

export const FORMATS = ["gzip", "zstd", "zstd:chunked"] as const;
export type Format = (typeof FORMATS)[number];

export interface PushedImage {
  /** Name and tag in the registry. */
  name: string;
  layer: { digest: string; sizeBytes: number };
}

export interface BenchGoods {
  /** The registry's storage. */
  storage: string;
  /** Of the uncompressed layer. */
  tarBytes: number;
  first: Record<Format, PushedImage>;
  second: PushedImage;
  /** Between the two. */
  change: string;
}

/** To be raised when the code that processes the tars changes. */
const RECIPE_VERSION = 1;

export interface EnsureGoodsOptions {
  log: (line: string) => void;
  signal?: AbortSignal;
}

export async function ensureBenchGoods(
  tools: ToolsRoot,
  image: BenchImage,
  { log, signal }: EnsureGoodsOptions,
): Promise<BenchGoods> {
  const startedMs = performance.now();
  const { path, isNew } = await ensureCacheEntry(
    {
      name: `bench-${image.name}`,
      recipe: [image.recipe, tools.path, RECIPE_VERSION],
      fill: async (folder) => {
        log(`${image.name}: making and compressing both versions (once, some minutes)`);
        await fillGoods(folder, tools, image, signal);
      },
    },
    { signal },
  );
  const seconds = Math.round((performance.now() - startedMs) / 1000);
  log(`${image.name}: ${isNew ? `made in ${seconds} s` : "reused"}`);
  const goods = JSON.parse(await readFile(join(path, "goods.json"), "utf8")) as Omit<BenchGoods, "storage">;
  return { ...goods, storage: join(path, "storage") };
}

async function fillGoods(
  folder: string,
  tools: ToolsRoot,
  image: BenchImage,
  signal?: AbortSignal,
): Promise<void> {
  const work = join(folder, "work");
  const storage = join(folder, "storage");
  await mkdir(work);
  await mkdir(storage);
  const options = { signal };
  const registry = await startPlainRegistry(tools, { storage, folder: work, ...options });
  try {
    const tars = await image.makeTars(work, options);
    const push = async (tar: string, version: string, formats: readonly Format[]) => {
      const layout = join(work, `layout-${version}`);
      const { layerSizesBytes } = await writeLayout(layout, tar);
      const pushed: Partial<Record<Format, PushedImage>> = {};
      for (const format of formats) {
        pushed[format] = await pushAs(tools, { format, version, image, layout, work, registry, ...options });
      }
      await rm(layout, { recursive: true });
      return { pushed, tarBytes: layerSizesBytes[0]! };
    };
    const first = await push(tars.first, "1", FORMATS);
    const second = await push(tars.second, "2", ["zstd:chunked"]);
    const goods: Omit<BenchGoods, "storage"> = {
      tarBytes: first.tarBytes,
      first: first.pushed as Record<Format, PushedImage>,
      second: second.pushed["zstd:chunked"]!,
      change: tars.change,
    };
    await writeFile(join(folder, "goods.json"), JSON.stringify(goods));
  } finally {
    await registry.stop();
    await rm(work, { recursive: true, force: true });
  }
}

async function writeLayout(layout: string, tar: string) {
  await mkdir(layout);
  return writeImageLayout(layout, {
    layers: [{ createdBy: "dutboot benchmark", tar, compression: "none" }],
    config: { Cmd: ["/bin/true"] },
    architecture: process.arch === "arm64" ? "arm64" : "amd64",
    created: "2025-10-09T00:00:00Z",
  });
}

interface Push {
  format: Format;
  version: string;
  image: BenchImage;
  layout: string;
  work: string;
  registry: { port: number };
  signal?: AbortSignal;
}

async function pushAs(
  tools: ToolsRoot,
  { format, version, image, layout, work, registry, signal }: Push,
): Promise<PushedImage> {
  // One repository and one blob cache per form; otherwise skopeo would refer to a blob that it pushed in another form.
  const name = `bench/${image.name}-${format.replace(":", "-")}:${version}`;
  const memory = join(work, `memory-${version}-${format.replace(":", "-")}`);
  await mkdir(memory);
  await tools.run(
    "skopeo",
    [
      ...["copy", "--quiet", "--insecure-policy", "--dest-tls-verify=false"],
      ...["--dest-compress-format", format],
      ...[`oci:${layout}:latest`, `docker://127.0.0.1:${registry.port}/${name}`],
    ],
    {
      bind: { ...planHostBinds([join(work, ".")]), "/var/lib/containers": memory },
      signal,
    },
  );
  return { name, layer: await describeLayer(registry.port, name) };
}

async function describeLayer(port: number, nameAndTag: string): Promise<PushedImage["layer"]> {
  const [name, tag] = nameAndTag.split(":");
  const response = await fetch(`http://127.0.0.1:${port}/v2/${name}/manifests/${tag}`, {
    headers: {
      accept: "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json",
    },
  });
  const document = (await response.json()) as {
    layers?: { digest: string; size: number; annotations?: object }[];
    manifests?: { digest: string }[];
  };
  if (document.manifests) return describeLayer(port, `${name}:${document.manifests[0]!.digest}`);
  const [layer] = document.layers ?? [];
  if (!layer) throw new Error(`Cannot find the layer of ${nameAndTag}: ${JSON.stringify(document)}`);
  return { digest: layer.digest, sizeBytes: layer.size };
}
