/**
 * podman 5.4 of Debian trixie, from the tools root: pulls into its own storage, mounts the image and syncs the disk.
 * Its configuration is containers-storage.conf(5): the overlay driver, partial pulls where the case wants them.
 */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { planHostBinds } from "../../qemu/host-binds.ts";
import type { ToolsRoot } from "../../qemu/tools-root.ts";
import { runTimed, type TimedRun } from "./timed-process.ts";

export interface PodmanStorage {
  folder: string;
}

/** `isPartial`: podman pulls zstd:chunked layers partially and checks their DiffIDs. */
export async function createPodmanStorage(folder: string, isPartial: boolean): Promise<PodmanStorage> {
  for (const name of ["graph", "run", "containers"]) await mkdir(join(folder, name), { recursive: true });
  const lines = [
    "[storage]",
    'driver = "overlay"',
    `graphroot = "${join(folder, "graph")}"`,
    `runroot = "${join(folder, "run")}"`,
    "[storage.options.pull_options]",
    `enable_partial_images = "${isPartial}"`,
  ];
  await writeFile(join(folder, "storage.conf"), `${lines.join("\n")}\n`);
  return { folder };
}

// The mounted root must be readable.
const PULL = `set -eu
podman pull --quiet --tls-verify=false "$1" >/dev/null
root=$(podman image mount "$1")
test -e "$root/." && sync --file-system "$2"`;

export function pullWithPodman(
  tools: ToolsRoot,
  { folder }: PodmanStorage,
  reference: string,
  options: { signal?: AbortSignal } = {},
): Promise<TimedRun> {
  const words = tools.commandWords("sh", ["-c", PULL, "pull", reference, folder], {
    bind: { ...planHostBinds([join(folder, "graph")]), "/var/lib/containers": join(folder, "containers") },
  });
  return runTimed("podman", words, {
    env: { ...process.env, CONTAINERS_STORAGE_CONF: join(folder, "storage.conf"), TMPDIR: "/tmp" },
    ...options,
  });
}
