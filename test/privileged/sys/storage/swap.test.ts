/** Swap on a file and on a device, as the kernel lists them. It is the kernel of the machine that runs the tests: a few MB, and at once off again. */
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { AgentError } from "../../../../agent/errors.ts";
import { enableSwap } from "../../../../agent/sys/storage/swap.ts";
import { ensureToolsRoot } from "../../../../qemu/tools-root.ts";

const MiB = 1024 * 1024;
const folder = mkdtempSync("/var/tmp/dutboot-swap-");
afterAll(() => rmSync(folder, { recursive: true }));

const lines: string[] = [];
const tell = (line: string) => void lines.push(line);
const log = { debug: tell, info: tell, warn: tell };
const { path: toolsPath } = await ensureToolsRoot({ log: tell });
const busybox = join(toolsPath, "usr/bin/busybox");
const options = { log, folder, busybox, swappinessPath: join(folder, "swappiness") };
const isSwappedTo = (path: string) => readFileSync("/proc/swaps", "utf8").includes(`${path} `);

async function readCode(swap: Parameters<typeof enableSwap>[0]): Promise<string | undefined> {
  try {
    await enableSwap(swap, options);
    return undefined;
  } catch (error) {
    return error instanceof AgentError ? error.code : String(error);
  }
}

test("creates a swap file, replaces an old one, and deletes it at the end", async () => {
  const path = join(folder, "swapfile");
  writeFileSync(path, "left over");
  const swap = await enableSwap({ sizeBytes: 8 * MiB, swappiness: 60 }, options);
  expect(isSwappedTo(path)).toBe(true);
  expect(readFileSync(options.swappinessPath, "utf8")).toBe("60\n");
  await swap.release();
  expect(isSwappedTo(path)).toBe(false);
  expect(existsSync(path)).toBe(false);
});

async function withDevice(use: (device: string) => Promise<void>): Promise<void> {
  const file = join(folder, "disk");
  writeFileSync(file, "");
  truncateSync(file, 8 * MiB);
  const device = execFileSync("losetup", ["--find", "--show", file], { encoding: "utf8" }).trim();
  try {
    await use(device);
  } finally {
    execFileSync("losetup", ["-d", device]);
    rmSync(file);
  }
}

test("formats a blank device, and reuses it the next time", async () => {
  await withDevice(async (device) => {
    for (let times = 0; times < 2; times++) {
      const swap = await enableSwap({ device }, options);
      expect(isSwappedTo(device)).toBe(true);
      await swap.release();
      expect(isSwappedTo(device)).toBe(false);
    }
  });
});

test("does not overwrite a device with a file system", async () => {
  await withDevice(async (device) => {
    execFileSync("mkfs.ext4", ["-q", "-L", "precious", device]);
    expect(await readCode({ device })).toBe("MACHINE_SWAP_FAILED");
    expect(execFileSync("blkid", ["-p", device], { encoding: "utf8" })).toContain('LABEL="precious"');
  });
});

test("fails if the size exceeds the disk", async () => {
  expect(await readCode({ sizeBytes: 2 ** 50 })).toBe("MACHINE_SWAP_FAILED");
  expect(existsSync(join(folder, "swapfile"))).toBe(false);
});

test("logs a failure of optional swap and continues", async () => {
  const swap = await enableSwap({ sizeBytes: 2 ** 50 }, { ...options, isOptional: true });
  await swap.release();
  expect(lines.at(-1)).toMatch(/^machine: NO SWAP: Cannot swap to/);
});

test("logs that a swap file needs a cache device", async () => {
  const swap = await enableSwap({ sizeBytes: MiB }, { log });
  await swap.release();
  expect(lines.at(-1)).toContain("NO SWAP");
});

test("fails for a file in RAM", async () => {
  const inRam = mkdtempSync(join(existsSync("/dev/shm") ? "/dev/shm" : tmpdir(), "swap-"));
  await expect(enableSwap({ sizeBytes: MiB }, { ...options, folder: inRam })).rejects.toMatchObject({
    code: "MACHINE_SWAP_FAILED",
  });
  rmSync(inRam, { recursive: true });
});
