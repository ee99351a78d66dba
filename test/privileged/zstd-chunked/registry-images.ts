/** A real registry, and images of one layer to push to it: made of the same tree but for three files of a version. */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type ServerProcess, startServer } from "../../../qemu/farm/server-process.ts";
import type { ToolsRoot } from "../../../qemu/tools-root.ts";

/** Its log, `registry.log` in the folder, has a line for each request. */
export async function startRegistry(
  tools: ToolsRoot,
  directory: string,
): Promise<ServerProcess & { port: number }> {
  const config = join(directory, "registry.json");
  writeFileSync(
    config,
    JSON.stringify({
      version: 0.1,
      log: { level: "info" },
      storage: { filesystem: { rootdirectory: join(directory, "storage") } },
      http: { addr: "127.0.0.1:0" },
    }),
  );
  return startServer({
    name: "docker-registry",
    words: tools.commandWords("docker-registry", ["serve", config]),
    logPath: join(directory, "registry.log"),
    readyPattern: /listening on 127\.0\.0\.1:(\d+)/,
    onDeath: () => {},
  });
}

/** The same tree each time, but for three files of `version`. */
export function makeTar(directory: string, version: string): Buffer {
  const tree = join(directory, `tree-${version}`);
  mkdirSync(join(tree, "d"), { recursive: true });
  for (let index = 0; index < 100; index++) {
    const seed = index < 3 ? `${version}${index}` : `${index}`;
    const noise = Array.from({ length: 300 }, (_, part) =>
      createHash("sha256").update(`${seed}:${part}`).digest(),
    );
    writeFileSync(join(tree, `d/file-${index}`), Buffer.concat(noise));
  }
  writeFileSync(
    join(tree, "holes"),
    Buffer.concat([Buffer.from("a"), Buffer.alloc(200_000), Buffer.from("b")]),
  );
  writeFileSync(join(tree, "empty"), "");
  writeFileSync(join(tree, "ünï"), "u");
  mkdirSync(join(tree, "deep/".repeat(40)), { recursive: true });
  execFileSync("ln", ["-f", join(tree, "d/file-9"), join(tree, "hard")]);
  execFileSync("ln", ["-sf", "d/file-9", join(tree, "soft")]);
  execFileSync("mknod", [join(tree, "null"), "c", "1", "3"]);
  execFileSync("mkfifo", [join(tree, "pipe")]);
  return execFileSync("tar", ["--format=pax", "--sort=name", "-C", tree, "-c", "."], { maxBuffer: 2 ** 30 });
}

/** An OCI layout of one layer. */
export function writeLayout(
  directory: string,
  name: string,
  layer: Buffer,
  diffId: string,
  mediaType: string,
  annotations = {},
): string {
  const layout = join(directory, name);
  mkdirSync(join(layout, "blobs/sha256"), { recursive: true });
  const put = (type: string, content: Buffer | object, extra = {}) => {
    const bytes = Buffer.isBuffer(content) ? content : Buffer.from(JSON.stringify(content));
    const hex = createHash("sha256").update(bytes).digest("hex");
    writeFileSync(join(layout, "blobs/sha256", hex), bytes);
    return {
      mediaType: `application/vnd.oci.image.${type}`,
      digest: `sha256:${hex}`,
      size: bytes.length,
      ...extra,
    };
  };
  const config = put("config.v1+json", {
    architecture: "amd64",
    os: "linux",
    config: {},
    rootfs: { type: "layers", diff_ids: [diffId] },
  });
  const layers = [put(mediaType, layer, { annotations })];
  const manifest = put("manifest.v1+json", {
    schemaVersion: 2,
    mediaType: "application/vnd.oci.image.manifest.v1+json",
    config,
    layers,
  });
  const named = { ...manifest, annotations: { "org.opencontainers.image.ref.name": "t" } };
  writeFileSync(join(layout, "index.json"), JSON.stringify({ schemaVersion: 2, manifests: [named] }));
  writeFileSync(join(layout, "oci-layout"), '{"imageLayoutVersion":"1.0.0"}');
  return layout;
}
