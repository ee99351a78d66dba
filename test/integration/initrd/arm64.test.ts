/** The arm64 image: built on this machine; its Node, native modules and bundle run under qemu-user. */
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { buildInitrd } from "../../../initrd/build-initrd.ts";
import { readElf } from "../../../initrd/elf.ts";
import { runCommand } from "../../../initrd/run-command.ts";
import { BUILD_TIMEOUT_MS, buildStubImage, makeFolder, QUICK_LEVEL } from "./build.ts";
import { readImage, unpackImage } from "./read-image.ts";

const EM_AARCH64 = 183;

let folder: string;
let stubImage: string;
let root: string;

/** Paths are the DUT's: qemu-user finds the loader and the libraries below `root`. */
const runNode = (...args: string[]) =>
  runCommand("qemu-aarch64-static", ["-L", root, join(root, "usr/bin/node"), ...args]);

beforeAll(async () => {
  folder = await makeFolder();
  stubImage = (await buildStubImage("arm64", join(folder, "stub"))).image;
  root = join(folder, "root");
  mkdirSync(root);
  unpackImage(stubImage, root);
}, BUILD_TIMEOUT_MS);

afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe("the arm64 image", () => {
  it("has no program of another architecture", () => {
    const machines = readImage(stubImage).flatMap(({ kind, content }) =>
      kind === "file" ? (readElf(content)?.machine ?? []) : [],
    );
    expect(machines.length).toBeGreaterThan(15);
    expect(new Set(machines)).toEqual(new Set([EM_AARCH64]));
  });

  it("runs a bundle with its native modules", async () => {
    const output = await runNode(join(root, "usr/lib/dutboot/main.js"));
    expect(output).toBe(`stub: arch=arm64 node=${process.version} sys=true zstd=true\n`);
  });

  it("has a modprobe that runs", async () => {
    const words = ["-L", root, "-0", "modprobe", join(root, "usr/bin/kmod"), "--version"];
    expect(await runCommand("qemu-aarch64-static", words)).toMatch(/^kmod version \d+/);
  });

  it("has the agent as scripts that its Node can read", { timeout: BUILD_TIMEOUT_MS }, async () => {
    const { image } = await buildInitrd({ arch: "arm64", outDir: join(folder, "agent"), level: QUICK_LEVEL });
    const agentRoot = join(folder, "agent-root");
    mkdirSync(agentRoot);
    unpackImage(image, agentRoot);
    for (const script of ["main.js", "unpack-worker.js"]) {
      await runNode("--check", join(agentRoot, "usr/lib/dutboot", script));
    }
  });
});
