/** A test crashes the kernel: the next boot finds the kernel's last messages in reserved memory (ramoops) and reports them. */
import { rmSync, statfsSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import {
  createFarmGuest,
  describeRun,
  type FarmGuest,
  type GuestRun,
  readTree,
} from "../agent/farm-guest.ts";
import { expectTrueManifest } from "../agent/uploaded-manifest.ts";
import { checkDisk, createDisk, listFolder } from "../root/cache-disk.ts";

const STORE = "/dutboot-store-1";
/** What firmware or a device tree would configure. */
const SPARED =
  "memmap=1M$0x10000000 ramoops.mem_address=0x10000000 ramoops.mem_size=0x100000 ramoops.record_size=0x20000";
const MEMORY_BYTES = 768 * 1024 * 1024;
const SHARED_MEMORY = "/dev/shm";

let guest: FarmGuest;
let memory: string;

beforeAll(async () => {
  guest = await createFarmGuest();
  const { bavail, bsize } = statfsSync(SHARED_MEMORY);
  const folder = bavail * bsize > 2 * MEMORY_BYTES ? SHARED_MEMORY : guest.folder;
  memory = join(folder, `dutboot-memory-${process.pid}`);
});
afterAll(async () => {
  rmSync(memory, { force: true });
  await guest?.stop();
});

const readBootId = ({ console }: GuestRun) => /Node \S+, boot (\w{8})/.exec(console)![1]!;

it("the next boot reports, uploads and clears a panic", { timeout: 600_000 }, async () => {
  const { farm, folder, facts } = guest;
  const disk = join(folder, "cache.raw");
  await createDisk(farm.tools, disk, { features: "verity" });
  const machine = {
    disks: [{ path: disk, format: "raw" as const }],
    // QEMU exits at a reset; a file keeps the memory for the next boot.
    extraArguments: [
      ...["-object", `memory-backend-file,id=ram,share=on,size=${MEMORY_BYTES},mem-path=${memory}`],
      ...["-machine", "memory-backend=ram"],
    ],
  };
  const line = `dut.image={registry}/test/busybox:1 dut.cache=auto dut.timeout=5m ${SPARED}`;

  const first = await guest.boot(`${line} "dut.run=echo c >/proc/sysrq-trigger"`, machine);
  expect(first.outcome, describeRun(first)).toBe("panic");

  const second = await guest.boot(`${line} "dut.run=echo whole >/results/own.txt"`, machine);
  expect(second.verdict, describeRun(second)).toMatchObject({ verdict: "pass", exitCode: 0 });
  const told = `previous boot ${readBootId(first)} died in phase run, .*: Kernel panic - not syncing: sysrq`;
  expect(second.console).toMatch(new RegExp(told));
  expect(second.console).not.toMatch(/pstore: .* cannot be/);
  expect(second.results.get("own.txt")).toBe("whole\n");
  expect(second.results.get("previous-boot/dmesg-ramoops-0")).toContain("sysrq triggered crash");
  expectTrueManifest(second);

  const prefix = basename(dirname(first.consolePath));
  const left = join(folder, "left");
  await farm.s3.downloadObjects(facts.resultsBucket, prefix, left);
  const results = await readTree(left);
  const words = "Kernel panic - not syncing: sysrq triggered crash";
  expect(results.get("pstore/dmesg-ramoops-0")).toContain(words);
  expect(JSON.parse(results.get("verdict.json")!)).toMatchObject({
    bootId: readBootId(first),
    verdict: "error",
    error: { code: "KERNEL_PANIC", phase: "run" },
  });
  expectTrueManifest({ results });

  await checkDisk(farm.tools, disk);
  expect(await listFolder(farm.tools, disk, `${STORE}/pending`)).toEqual([]);
  expect(await listFolder(farm.tools, disk, `${STORE}/journals`)).toEqual([]);
});
