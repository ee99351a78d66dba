/**
 * A tiny image for boots that test something else: a static busybox of 1 MB in two layers with whiteouts.
 * The whiteouts remove `/removed` and the first layer's content of `/opaque`. `/bin/busybox` has a hard link and an xattr.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { buffer } from "node:stream/consumers";
import { type Header, pack } from "tar-stream";
import { ensureCacheEntry } from "../cache-entry.ts";
import type { ToolsRoot } from "../tools-root.ts";
import { writeImageLayout } from "./image-layout.ts";
import type { EnsureImageOptions } from "./test-image.ts";

const CREATED = new Date("2025-10-09T00:00:00Z");
/** Increase when the code below changes the image. */
const RECIPE_VERSION = 1;

/** Returns the folder of the image's OCI layout. The default command is `/bin/sh -c "echo busybox image: ok"`. */
export async function ensureBusyboxImage(
  tools: ToolsRoot,
  { log, signal }: EnsureImageOptions,
): Promise<string> {
  const { path, isNew } = await ensureCacheEntry(
    {
      name: "busybox-image",
      recipe: [RECIPE_VERSION, tools.path],
      fill: async (folder) => {
        const busybox = await readFile(join(tools.path, "usr/bin/busybox"));
        const applets = (await tools.run("busybox", ["--list"])).trim().split("\n");

        await writeImageLayout(folder, {
          layers: [
            {
              createdBy: "busybox",
              tar: await packEntries(listBaseEntries(busybox, applets)),
              compression: "gzip",
            },
            { createdBy: "changes", tar: await packEntries(CHANGES), compression: "zstd" },
          ],
          config: {
            Env: ["PATH=/bin:/usr/bin", "FROM_IMAGE=busybox"],
            Cmd: ["/bin/sh", "-c", "echo busybox image: ok"],
            WorkingDir: "/",
            Labels: { "org.opencontainers.image.title": "dutboot busybox image" },
          },
          architecture: process.arch === "arm64" ? "arm64" : "amd64",
          created: CREATED.toISOString(),
        });
      },
    },
    { signal },
  );
  log(`busybox image: ${isNew ? "made" : "reused"}`);
  return path;
}

type Entry = Partial<Header> & Pick<Header, "name"> & { content?: Buffer | string };

function listBaseEntries(busybox: Buffer, applets: readonly string[]): Entry[] {
  const folder = (name: string, mode = 0o755): Entry => ({ name, type: "directory", mode });
  return [
    ...["bin/", "dev/", "etc/", "proc/", "sys/", "root/", "usr/", "opaque/"].map((name) => folder(name)),
    folder("tmp/", 0o1777),
    { name: "bin/busybox", mode: 0o755, content: busybox, pax: { "SCHILY.xattr.user.from": "layer-1" } },
    { name: "bin/busybox-again", type: "link", linkname: "bin/busybox", mode: 0o755 },
    ...applets
      .filter((applet) => applet !== "busybox")
      .map((applet): Entry => ({ name: `bin/${applet}`, type: "symlink", linkname: "busybox" })),
    { name: "usr/bin", type: "symlink", linkname: "../bin" },
    {
      name: "etc/passwd",
      mode: 0o644,
      content: "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n",
    },
    { name: "etc/group", mode: 0o644, content: "root:x:0:\nnogroup:x:65534:\n" },
    { name: "etc/motd", mode: 0o644, content: "layer 1\n" },
    { name: "removed", mode: 0o644, content: "must not be seen\n" },
    { name: "opaque/below", mode: 0o644, content: "must not be seen\n" },
    { name: "owned", mode: 0o640, uid: 1000, gid: 1001, content: "owned by 1000:1001\n" },
  ];
}

const CHANGES: readonly Entry[] = [
  { name: ".wh.removed", content: "" },
  { name: "opaque/", type: "directory", mode: 0o755 },
  { name: "opaque/.wh..wh..opq", content: "" },
  { name: "opaque/above", mode: 0o644, content: "layer 2\n" },
  { name: "etc/", type: "directory", mode: 0o755 },
  { name: "etc/motd", mode: 0o644, content: "layer 2\n" },
];

function packEntries(entries: readonly Entry[]): Promise<Buffer> {
  const archive = pack();
  for (const { content, ...header } of entries) {
    if (content === undefined) archive.entry({ mtime: CREATED, ...header });
    else archive.entry({ mtime: CREATED, ...header }, content);
  }
  archive.finalize();
  return buffer(archive);
}
