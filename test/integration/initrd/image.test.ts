/** The x86_64 image: its content, its self-check, its reproducibility and its size. */
import { createHash } from "node:crypto";
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { cacheFolder } from "../../../initrd/build-cache.ts";
import { type BuiltInitrd, buildInitrd, IMAGE_MAX_BYTES } from "../../../initrd/build-initrd.ts";
import { runCommand } from "../../../initrd/run-command.ts";
import { BUILD_TIMEOUT_MS, buildStubImage, makeFolder } from "./build.ts";
import { type ImageEntry, readImage, unpackImage } from "./read-image.ts";

let folder: string;
let built: BuiltInitrd;
let entries: ImageEntry[];
const fileOf = (path: string) => entries.find((entry) => entry.path === path)!;

beforeAll(async () => {
  folder = await makeFolder();
  built = await buildStubImage("x86_64", join(folder, "first"));
  entries = readImage(built.image);
}, BUILD_TIMEOUT_MS);

afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe("the image", () => {
  it.each([
    { path: "init", kind: "file", mode: 0o755 },
    { path: "etc/inittab", kind: "file", mode: 0o644 },
    { path: "usr/bin/busybox", kind: "file", mode: 0o755 },
    { path: "usr/bin/sh", kind: "symlink", mode: 0o777 },
    { path: "usr/bin/init", kind: "symlink", mode: 0o777 },
    { path: "usr/bin/node", kind: "file", mode: 0o755 },
    { path: "usr/bin/crun", kind: "file", mode: 0o755 },
    { path: "usr/bin/xz", kind: "file", mode: 0o755 },
    { path: "usr/bin/kmod", kind: "file", mode: 0o755 },
    { path: "usr/sbin/modprobe", kind: "symlink", mode: 0o777 },
    { path: "usr/sbin/mke2fs", kind: "file", mode: 0o755 },
    { path: "usr/sbin/e2fsck", kind: "file", mode: 0o755 },
    { path: "usr/lib/dutboot/main.js", kind: "file", mode: 0o644 },
    { path: "usr/lib/dutboot/sys.node", kind: "file", mode: 0o755 },
    { path: "usr/lib/dutboot/supervise-agent", kind: "file", mode: 0o755 },
    { path: "etc/ssl/certs/ca-certificates.crt", kind: "file", mode: 0o644 },
    { path: "usr/lib64/ld-linux-x86-64.so.2", kind: "symlink", mode: 0o777 },
    { path: "dev/console", kind: "char", mode: 0o600 },
    { path: "mnt", kind: "directory", mode: 0o755 },
    { path: "lib", kind: "symlink", mode: 0o777 },
  ])("has $path as a $kind", ({ path, kind, mode }) => {
    expect(fileOf(path)).toMatchObject({ kind, mode });
  });

  it("has every entry once, after its folder, with the same time", () => {
    const seen = new Set<string>();
    for (const { path, kind, mtimeSec } of entries) {
      expect(mtimeSec).toBe(0);
      expect(seen.has(path)).toBe(false);
      const parent = path.includes("/") ? path.slice(0, path.lastIndexOf("/")) : undefined;
      if (parent) expect(seen).toContain(parent);
      if (kind === "directory" || kind === "file") seen.add(path);
    }
  });

  it("lists hash, size and package of each file in its manifest", () => {
    const manifest = JSON.parse(fileOf("usr/lib/dutboot/manifest.json").content.toString());
    const listed = new Map<string, { sha256?: string; sizeBytes?: number; origin: string }>(
      manifest.files.map((file: { path: string }) => [file.path, file]),
    );
    const unlisted = ["manifest.json", "manifest.sha256", "supervise-agent"].map(
      (name) => `usr/lib/dutboot/${name}`,
    );
    for (const { path, kind, content } of entries) {
      if (kind !== "file" || unlisted.includes(path)) continue;
      const sha256 = createHash("sha256").update(content).digest("hex");
      expect(listed.get(path)).toMatchObject({ sha256, sizeBytes: content.length });
      expect(listed.get(path)?.origin).toMatch(/^\S+ \S+$/);
    }
  });

  it("records when and from what it was built", () => {
    const info = JSON.parse(fileOf("usr/lib/dutboot/build.json").content.toString());
    expect(info).toMatchObject({ arch: "x86_64", nodeVersion: process.versions.node });
    expect(info.buildTimeMs).toBeGreaterThan(Date.UTC(2026, 0, 1));
    expect(info.buildTimeMs).toBeLessThanOrEqual(Date.now());
  });

  it("runs the slimmed Node and its native modules, and catches an error thrown in one of them", async () => {
    const root = join(folder, "root");
    mkdirSync(root);
    unpackImage(built.image, root);
    const node = (...args: string[]) => runCommand("chroot", [root, "/usr/bin/node", ...args]);
    expect(await node("/usr/lib/dutboot/main.js")).toBe(
      `stub: arch=x64 node=${process.version} sys=true zstd=true\n`,
    );
    const script = `
      const zstd = require("/usr/lib/dutboot/zstd.node");
      try { new zstd.DCtx().decompress(Buffer.alloc(9), Buffer.from("nonsense")); } catch (error) { console.log("caught"); }
      console.log(new Intl.DateTimeFormat("de", { timeZone: "UTC" }).format(0));
      console.log(require("node:crypto").createHash("sha256").update("").digest("hex").slice(0, 8));
      console.log(require("node:zlib").gunzipSync(require("node:zlib").gzipSync("zipped")).toString());
      new (require("node:worker_threads").Worker)("console.log(require('node:worker_threads').isMainThread)", { eval: true });`;
    expect(await node("-e", script)).toBe("caught\n1.1.1970\ne3b0c442\nzipped\nfalse\n");
  });

  it("has a modprobe at the kernel's path that runs without libcrypto", async () => {
    const version = await runCommand("chroot", [join(folder, "root"), "/sbin/modprobe", "--version"]);
    expect(version).toMatch(/^kmod version \d+/);
  });

  it("has every library that its programs need", async () => {
    const root = join(folder, "root");
    for (const program of [
      "usr/bin/crun",
      "usr/sbin/mke2fs",
      "usr/sbin/e2fsck",
      "usr/bin/xz",
      "usr/bin/kmod",
      "usr/bin/node",
    ]) {
      const loader = "/usr/lib64/ld-linux-x86-64.so.2";
      expect(await runCommand("chroot", [root, loader, "--list", `/${program}`])).not.toContain("not found");
    }
  });
});

describe("the builder", () => {
  it("builds the same bytes from an empty cache", { timeout: BUILD_TIMEOUT_MS }, async () => {
    const cache = join(folder, "cache");
    // Keep the package lists, because a newer list is a different input. Build everything else again.
    const lists = "apt-trixie-amd64";
    cpSync(join(cacheFolder(), lists), join(cache, lists), { recursive: true, preserveTimestamps: true });
    const before = process.env.DUTBOOT_CACHE;
    process.env.DUTBOOT_CACHE = cache;
    try {
      const again = await buildStubImage("x86_64", join(folder, "second"));
      expect(again.parts.filter(({ reused }) => reused)).toEqual([]);
      expect(readFileSync(again.image).equals(readFileSync(built.image))).toBe(true);
    } finally {
      if (before === undefined) delete process.env.DUTBOOT_CACHE;
      else process.env.DUTBOOT_CACHE = before;
    }
  });

  it("reuses and reports earlier results", { timeout: BUILD_TIMEOUT_MS }, async () => {
    expect((await buildStubImage("x86_64", join(folder, "third"))).reused).toBe(true);
  });

  it("keeps the agent's real image below its limit", { timeout: BUILD_TIMEOUT_MS }, async () => {
    const { sizeBytes, parts, image } = await buildInitrd({ arch: "x86_64", outDir: join(folder, "real") });
    console.log(parts.map(({ name, sizeBytes: size }) => `${name} ${size}`).join(", "), "in all", sizeBytes);
    expect(sizeBytes).toBeLessThan(IMAGE_MAX_BYTES);
    expect(existsSync(image)).toBe(true);
  });
});
