/** What other readers of tar make of an archive: GNU tar of the host, and podman of the tools root. */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { ToolsRoot } from "../../../qemu/tools-root.ts";
import { listTree } from "../root/tree-listing.ts";
import { writeLayout } from "../zstd-chunked/registry-images.ts";
import type { Answer } from "./our-paths.ts";

const LISTED = { times: true, hashes: true };
export const REFUSED = "refused";

export function unpackWithGnuTar(tar: Buffer, path: string): Answer {
  mkdirSync(path);
  const words = ["-xpf", "-", "--numeric-owner", "--xattrs", "--xattrs-include=*", "-C", path];
  const { status } = spawnSync("tar", words, { input: tar });
  const lines = listTree(path, LISTED);
  rmSync(path, { recursive: true });
  return status === 0 ? lines : REFUSED;
}

const sha256 = (bytes: Buffer) => createHash("sha256").update(bytes).digest("hex");

/** By the name of the archive; the root has no line. Podman pulls each as an image of one layer. */
export async function unpackWithPodman(
  archives: readonly { name: string; tar: Buffer }[],
  directory: string,
  tools: ToolsRoot,
): Promise<Map<string, Answer>> {
  const folder = (name: string) => {
    mkdirSync(join(directory, name));
    return join(directory, name);
  };
  const [graph, run, containers] = ["graph", "run", "containers"].map(folder);
  const config = join(directory, "storage.conf");
  writeFileSync(config, `[storage]\ndriver = "overlay"\ngraphroot = "${graph}"\nrunroot = "${run}"\n`);
  const layouts = archives.map(({ tar }, index) =>
    writeLayout(directory, `layout-${index}`, tar, `sha256:${sha256(tar)}`, "layer.v1.tar"),
  );
  const script =
    'for layout; do podman pull --quiet "oci:$layout" 2>"$layout/error" || touch "$layout/refused"; done';
  await tools.run("sh", ["-c", script, "sh", ...layouts], {
    env: { ...process.env, CONTAINERS_STORAGE_CONF: config, TMPDIR: directory },
    bind: { "/var/lib/containers": containers! },
  });
  return new Map(
    archives.map(({ name, tar }, index): [string, Answer] => {
      const layout = layouts[index]!;
      if (existsSync(join(layout, "refused"))) return [name, REFUSED];
      return [name, listTree(join(graph!, "overlay", sha256(tar), "diff"), LISTED).slice(1)];
    }),
  );
}
