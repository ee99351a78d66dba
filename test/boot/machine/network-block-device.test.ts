/** A diskless DUT with cache and swap on qemu-nbd. test/integration/sys tests the handshake without a kernel. */
import { execFileSync } from "node:child_process";
import { readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import { join, relative } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, it } from "vitest";
import { buildInitrd } from "../../../initrd/build-initrd.ts";
import { PROJECT_ROOT } from "../../../initrd/project.ts";
import { bootDut } from "../../../qemu/boot-dut.ts";
import { type OwnedProcess, startOwnedProcess } from "../../../qemu/owned-process.ts";
import { claimRunDirectory } from "../../../qemu/run-directory.ts";
import { prepareKernel, prepareToolsRoot } from "../../../scripts/prepare.ts";
import { BUILD_TIMEOUT_MS, makeFolder, QUICK_LEVEL } from "../../integration/initrd/build.ts";

const DISK_BYTES = 256 * 1024 * 1024;

let folder: string;
let server: OwnedProcess | undefined;

beforeAll(async () => {
  folder = await makeFolder();
});

afterAll(async () => {
  server?.kill();
  await server?.ended;
  rmSync(folder, { recursive: true, force: true });
});

async function findFreePort(): Promise<number> {
  const probe = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => probe.once("listening", resolve));
  const { port } = probe.address() as { port: number };
  await new Promise((resolve) => probe.close(resolve));
  return port;
}

async function waitForServer(port: number): Promise<void> {
  for (let tries = 0; tries < 200; tries++) {
    const isThere = await new Promise<boolean>((resolve) => {
      const socket = connect(port, "127.0.0.1");
      socket.on("connect", () => resolve(true));
      socket.on("error", () => resolve(false));
      socket.on("close", () => socket.destroy());
      socket.on("data", () => socket.destroy());
    });
    if (isThere) return;
    await sleep(50);
  }
  throw new Error("Cannot reach qemu-nbd");
}

it(
  "keeps cache and swap on a network block device",
  async () => {
    const [toolsRoot, kernel] = await Promise.all([prepareToolsRoot(), prepareKernel()]);
    process.env.SOURCE_DATE_EPOCH ??= String(Math.floor(Date.UTC(2026, 5, 1) / 1000));
    const entries = { main: relative(PROJECT_ROOT, fileURLToPath(import.meta.resolve("./nbd-agent.ts"))) };
    const { image } = await buildInitrd({
      arch: "x86_64",
      outDir: join(folder, "image"),
      entries,
      level: QUICK_LEVEL,
    });
    const disk = join(folder, "disk");
    writeFileSync(disk, "");
    truncateSync(disk, DISK_BYTES);
    const port = await findFreePort();
    const words = ["--persistent", "--shared=4", "--bind=127.0.0.1", `--port=${port}`, "--format=raw", disk];
    server = startOwnedProcess(toolsRoot.commandWords("qemu-nbd", words));
    await waitForServer(port);

    const runDirectory = await claimRunDirectory(join(folder, "runs"));
    const result = await bootDut({
      toolsRoot,
      runDirectory,
      kernel: kernel.kernel,
      initrds: [image, kernel.modules],
      commandLine: `quiet stub=${port}`,
      memoryMiB: 768,
      timeoutMs: 300_000,
    });
    const text = readFileSync(result.consolePath, "latin1");
    expect(text).toMatch(/machine: \/dev\/nbd0 is 10\.0\.2\.2:\d+, 268 MB, 2 connections/);
    expect(text).toContain('store in cache {"kind":"device","device":"/dev/nbd0"');
    expect(text).toMatch(/swaps: \/store\/\S+\/swapfile/);
    expect(text).toContain("read back: by the farm");
    expect(text).toContain("all done");
    expect(text).not.toMatch(/cannot be (detached|stopped)|nbd0: .*(error|dead)/i);
    expect(execFileSync("blkid", ["-p", "-o", "value", "-s", "LABEL", disk], { encoding: "utf8" })).toBe(
      "B2C_CACHE\n",
    );
  },
  BUILD_TIMEOUT_MS,
);
