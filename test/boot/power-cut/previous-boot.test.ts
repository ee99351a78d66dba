/** The power fails during a test: the next boot on the same cache device, with another job, uploads the results. */
import { basename, dirname, join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { Verdict } from "../../../agent/wire/verdict.ts";
import {
  createFarmGuest,
  describeRun,
  type FarmGuest,
  type GuestRun,
  readTree,
} from "../agent/farm-guest.ts";
import { expectTrueManifest } from "../agent/uploaded-manifest.ts";
import { whenConsoleSays } from "../console-says.ts";
import { checkDisk, createDisk, listFolder } from "../root/cache-disk.ts";

const STORE = "/dutboot-store-1";
/** Long enough for several syncs with `dut.sync=1s`, also on a slow machine. */
const SYNC_WAIT_MS = 8_000;

let guest: FarmGuest;

beforeAll(async () => {
  guest = await createFarmGuest();
});
afterAll(() => guest?.stop());

const prefixOf = ({ consolePath }: GuestRun) => basename(dirname(consolePath));

it("the next boot uploads the results of an interrupted test under that test's prefix", {
  timeout: 600_000,
}, async () => {
  const { farm, folder } = guest;
  const disk = join(folder, "cache.raw");
  await createDisk(farm.tools, disk, { features: "verity" });
  const disks = [{ path: disk, format: "raw" as const }];
  const image = "dut.image={registry}/test/busybox:1 dut.cache=auto dut.timeout=5m";

  const cut = new AbortController();
  // Two spaces, so that the output differs from the line as the kernel and the agent print it.
  // Repeated, because the kernel may print into one of them.
  const write = "echo half >/results/partial.txt; while sleep 1; do echo half  is  written; done";
  const first = await guest.boot(`${image} dut.sync=1s "dut.run=${write}"`, {
    disks,
    signal: cut.signal,
    onConsole: whenConsoleSays("half is written", () => setTimeout(() => cut.abort(), SYNC_WAIT_MS)),
  });
  expect(first.outcome, describeRun(first)).toBe("stopped");
  const firstPrefix = prefixOf(first);
  const bootId = /Node \S+, boot (\w{8})/.exec(first.console)![1]!;
  expect(first.results.has("verdict.json")).toBe(false);
  expect(await listFolder(farm.tools, disk, `${STORE}/pending`)).toEqual([bootId]);

  const second = await guest.boot(`${image} "dut.run=echo whole >/results/own.txt"`, { disks });
  expect(second.verdict, describeRun(second)).toMatchObject({ verdict: "pass", exitCode: 0 });
  expect(second.console).toMatch(
    new RegExp(`previous boot ${bootId} died in phase run, main step ".*", \\d+ s or more after its start`),
  );
  expect(second.console).toMatch(
    new RegExp(`previous boot: uploaded \\d+ files of boot ${bootId} to s3://results/${firstPrefix}`),
  );
  expect(second.console.indexOf("previous boot: uploaded")).toBeLessThan(
    second.console.indexOf("fetch: started"),
  );
  expect(second.events).toContainEqual(
    expect.objectContaining({ event: "previous_boot", bootId, state: "running", phase: "run" }),
  );
  expect(second.results.get("own.txt")).toBe("whole\n");
  expectTrueManifest(second);

  const left = join(folder, "left");
  await farm.s3.downloadObjects(guest.facts.resultsBucket, firstPrefix, left);
  const results = await readTree(left);
  expect(results.get("partial.txt")).toBe("half\n");
  expect(results.get("dutboot.log")).toContain("half is written");
  expect(JSON.parse(results.get("partial.json")!)).toMatchObject({ bootId, complete: true });
  const verdict = JSON.parse(results.get("verdict.json")!) as Verdict;
  expect(verdict).toMatchObject({ verdict: "error", exitCode: null });
  expect(verdict.error).toMatchObject({ code: "MACHINE_DIED", blame: "infra", phase: "run" });
  expect(verdict.phases.map(({ name }) => name)).toEqual(["machine", "fetch", "assemble", "artifact"]);
  expectTrueManifest({ results });

  // Nothing is left, and the disk was unmounted.
  await checkDisk(farm.tools, disk);
  expect(await listFolder(farm.tools, disk, `${STORE}/pending`)).toEqual([]);
  expect(await listFolder(farm.tools, disk, `${STORE}/journals`)).toEqual([]);
});
