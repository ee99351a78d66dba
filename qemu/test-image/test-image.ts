/**
 * The test job's image: Debian trixie with Mesa's software Vulkan driver and vulkan-tools, in three layers by mmdebstrap.
 * It resembles the images of Mesa's jobs, without files that a DUT never reads, because an emulated DUT is slow.
 */
import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { ensureCacheEntry, removeTree } from "../cache-entry.ts";
import { runMmdebstrap } from "../mmdebstrap.ts";
import { formatShellCommand } from "../qemu-command.ts";
import { type LayerInput, writeImageLayout } from "./image-layout.ts";

const RELEASE = "trixie";
/** The time of all files and the image, so that the same packages give the same bytes. */
const SOURCE_DATE_EPOCH = 1_760_000_000;

/** The packages that each layer adds. */
const LAYERS: readonly {
  name: string;
  packages: readonly string[];
  compression: LayerInput["compression"];
}[] = [
  { name: "base", packages: [], compression: "gzip" },
  { name: "mesa", packages: ["mesa-vulkan-drivers"], compression: "zstd" },
  { name: "test-tools", packages: ["vulkan-tools"], compression: "gzip" },
];

const EXCLUDED_PATHS = [
  ...["/usr/share/doc/*", "/usr/share/man/*", "/usr/share/info/*", "/usr/share/locale/*"],
  ...["/usr/share/lintian/*", "/usr/share/bug/*", "/usr/share/zoneinfo/*"],
  // A virtual DUT has no GPU, so only lavapipe can run.
  ...[
    "asahi",
    "freedreno",
    "gfxstream",
    "intel",
    "intel_hasvk",
    "nouveau",
    "panfrost",
    "powervr_mesa",
    "radeon",
    "virtio",
  ].flatMap((driver) => [
    `/usr/lib/*/libvulkan_${driver}.so`,
    `/usr/share/vulkan/icd.d/${driver}*_icd*.json`,
  ]),
];

const CONFIG = {
  Env: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8"],
  Entrypoint: ["/usr/bin/vulkaninfo"],
  Cmd: ["--summary"],
  WorkingDir: "/",
  Labels: {
    "org.opencontainers.image.title": "dutboot test image",
    "org.opencontainers.image.version": RELEASE,
  },
};

export interface EnsureImageOptions {
  log: (line: string) => void;
  signal?: AbortSignal;
}

/** Returns the folder of the image's OCI layout and builds it if it is missing (about a minute). Needs root and mmdebstrap. */
export async function ensureTestImage({ log, signal }: EnsureImageOptions): Promise<string> {
  const startedMs = performance.now();
  const recorder = join(import.meta.dirname, "record-layer.sh");
  const { path, isNew } = await ensureCacheEntry(
    {
      name: "test-image",
      recipe: [
        LAYERS,
        EXCLUDED_PATHS,
        CONFIG,
        process.arch,
        await readFile(recorder, "utf8"),
        SOURCE_DATE_EPOCH,
      ],
      fill: async (folder) => {
        log("test image: installing Debian packages (once)");
        const work = `${folder}.new-work`;
        try {
          await recordLayers(work, recorder, signal);
          await writeImageLayout(folder, {
            layers: LAYERS.map(({ name, packages, compression }) => ({
              createdBy: `mmdebstrap ${RELEASE}: ${packages.join(" ") || "essential packages"}`,
              tar: join(work, `${name}.tar`),
              compression,
            })),
            config: CONFIG,
            architecture: process.arch === "arm64" ? "arm64" : "amd64",
            created: new Date(SOURCE_DATE_EPOCH * 1000).toISOString(),
          });
        } finally {
          await removeTree(work);
        }
      },
    },
    { signal },
  );
  log(
    isNew
      ? `test image: made in ${Math.round((performance.now() - startedMs) / 1000)} s`
      : "test image: reused",
  );
  return path;
}

/** Installs the layers one after the other into `work`/root and writes a tar archive of each to `work`. */
async function recordLayers(work: string, recorder: string, signal?: AbortSignal): Promise<void> {
  const install =
    'APT_CONFIG="$MMDEBSTRAP_APT_CONFIG" apt-get install --yes -oAPT::Install-Recommends=false -oDPkg::Chroot-Directory="$1"';
  const hooks = LAYERS.flatMap(({ name, packages }) => [
    ...(packages.length > 0 ? [`${install} ${packages.join(" ")}`] : []),
    `sh ${quote(recorder)} "$1" ${quote(work)} ${name}`,
  ]);
  await mkdir(work);
  await runMmdebstrap({
    release: RELEASE,
    options: [
      "--variant=essential",
      ...EXCLUDED_PATHS.map((path) => `--dpkgopt=path-exclude=${path}`),
      ...hooks.map((hook) => `--customize-hook=${hook}`),
    ],
    target: join(work, "root"),
    env: { ...process.env, SOURCE_DATE_EPOCH: String(SOURCE_DATE_EPOCH), DEBIAN_FRONTEND: "noninteractive" },
    signal,
  });
}

const quote = (word: string) => formatShellCommand([word]);
