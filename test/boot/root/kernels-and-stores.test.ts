/**
 * The root by kernel and store: Debian's 6.1 and 6.12, the store in RAM and on ext4 with and without
 * fs-verity, and what a second boot fetches.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { computeFsVerityDigest } from "../../../agent/composefs/fsverity.ts";
import type { ErrorCode } from "../../../agent/errors.ts";
import { buildKernel } from "../../../initrd/build-kernel.ts";
import { type CheckedImage, pushCheckedImage } from "../agent/checked-image.ts";
import { createFarmGuest, describeRun, type FarmGuest, type GuestRun } from "../agent/farm-guest.ts";
import { checkDisk, createDisk, listFolder, readUuid, rotFile } from "./cache-disk.ts";

const OUT = fileURLToPath(new URL("../../../out/kernel/x86_64", import.meta.url));
const STORE = "/dutboot-store-1";

let guest: FarmGuest;
let image: CheckedImage;
/** Debian's kernels by series, with their modules. */
const kernels = new Map<string, { kernel: string; modules: string }>();

beforeAll(async () => {
  guest = await createFarmGuest();
  image = await pushCheckedImage(guest.farm, guest.folder, "test/checked:1");
  const options = { arch: "x86_64", outDir: OUT, kernelPackage: "linux-image-cloud-amd64" } as const;
  const old = await buildKernel({ ...options, suite: "bookworm" });
  kernels.set("6.1", { kernel: old.kernelImage, modules: old.modulesArchive });
  kernels.set("6.12", { kernel: guest.bootFiles.kernel, modules: guest.bootFiles.modules });
});
afterAll(() => guest?.stop());

interface Step {
  kernel: "6.1" | "6.12";
  options: (disk: string) => Promise<string> | string;
  /** Complete lines that the log must contain. */
  says: readonly RegExp[];
  neverSays?: readonly RegExp[];
  /** Number of fetched layers, of three. */
  layersFetched: number;
  /** Outcome of phase "run"; absent: pass. */
  error?: ErrorCode;
  /** Changes the disk before this boot. */
  before?: (disk: string) => Promise<void>;
}

/** A sequence of boots on one disk. */
interface Chain {
  name: string;
  /** Absent: the store is in RAM. `blank`: no file system. */
  disk?: "blank" | "ext4";
  steps: readonly Step[];
}

const DROPPED_OBJECT = /store: deleted object \w{64}: it was damaged on the disk/;
const HERE_ALREADY = /store: .*is stored/;
const PLAIN = /root: composefs image \w{64} \(.*\), data-only objects$/m;
const REQUIRED = /root: composefs image \w{64} \(.*\), data-only objects, verity required/;
const OLDER = /root: composefs image \w{64} \(.*\), objects as a plain layer/;

const rotObject = (disk: string, verity: string) =>
  rotFile(guest.farm.tools, disk, `${STORE}/objects/${verity.slice(0, 2)}/${verity.slice(2)}`);

const rotFileAndImage = async (disk: string) => {
  await rotObject(disk, computeFsVerityDigest(image.largeFile.content).toString("hex"));
  const [imageDigest] = await listFolder(guest.farm.tools, disk, `${STORE}/images`);
  await rotObject(disk, imageDigest!);
};

const rotTree = async (disk: string) => {
  const names = await listFolder(guest.farm.tools, disk, `${STORE}/trees`);
  await rotFile(guest.farm.tools, disk, `${STORE}/trees/${names.find((name) => name.endsWith(".members"))}`);
};

const CHAINS: readonly Chain[] = [
  {
    name: "ext4 without fs-verity",
    disk: "ext4",
    steps: [
      {
        kernel: "6.12",
        options: () => "dut.cache=auto",
        says: [/cache: \/dev\/vda .*label DUTBOOT_CACHE.* mounted/, /root: using composefs \(auto\)/, PLAIN],
        neverSays: [/sealed by fs-verity/, /cache: formatting/],
        layersFetched: 3,
      },
      {
        kernel: "6.12",
        options: async (disk) => `dut.cache=UUID=${await readUuid(guest.farm.tools, disk)}`,
        before: rotFileAndImage,
        says: [
          /store: 1 of \d+ objects of .* are damaged or missing, fetching it again/,
          DROPPED_OBJECT,
          HERE_ALREADY,
          PLAIN,
        ],
        layersFetched: 1,
      },
      {
        kernel: "6.1",
        options: () => "dut.cache=LABEL=DUTBOOT_CACHE",
        before: rotTree,
        says: [/store: deleted record trees\/.*: it was damaged on the disk/, HERE_ALREADY, OLDER],
        layersFetched: 1,
      },
      {
        kernel: "6.1",
        options: () => "dut.cache=auto",
        says: [HERE_ALREADY, OLDER],
        neverSays: [/damaged|has changed/],
        layersFetched: 0,
      },
    ],
  },
  {
    name: "ext4 with fs-verity, formatted by us",
    disk: "blank",
    steps: [
      {
        kernel: "6.12",
        options: () => "dut.cache=/dev/vda dut.cache_format=yes dut.root=composefs",
        says: [
          /cache: formatting \/dev\/vda \(.*, 0\.3 GB\)/,
          /sealed by fs-verity/,
          /root: using composefs \(composefs\)/,
          REQUIRED,
        ],
        layersFetched: 3,
      },
      {
        kernel: "6.12",
        options: () => "dut.cache=auto",
        says: [HERE_ALREADY, REQUIRED],
        neverSays: [/cache: formatting/],
        layersFetched: 0,
      },
      {
        // The kernel returns errors instead of wrong bytes, so the test's result does not count.
        kernel: "6.12",
        options: () => "dut.cache=auto",
        before: rotFileAndImage,
        says: [/FILE CORRUPTED/, DROPPED_OBJECT, REQUIRED],
        neverSays: [/files are right/],
        layersFetched: 0,
        error: "STORE_OBJECT_CORRUPT",
      },
      {
        kernel: "6.1",
        options: () => "dut.cache=auto",
        says: [/sealed by fs-verity/, /1 of \d+ objects of .* fetching it again/, HERE_ALREADY, OLDER],
        layersFetched: 1,
      },
    ],
  },
  {
    name: "RAM",
    steps: [
      {
        kernel: "6.1",
        options: () => "dut.cache=none",
        says: [/store: in RAM, at most \d+ MB/, /root: using composefs \(auto\)/, OLDER],
        layersFetched: 3,
      },
    ],
  },
  {
    name: "RAM, by overlay",
    steps: [
      {
        kernel: "6.12",
        options: () => "dut.root=overlay",
        says: [/root: using overlay, as the job requests/],
        neverSays: [/composefs image/],
        layersFetched: 3,
      },
    ],
  },
  {
    name: "RAM, by overlay on the older kernel",
    steps: [
      {
        kernel: "6.1",
        // No disk has our label, so the store is in RAM and the log says so.
        options: () => "dut.root=overlay dut.cache=auto",
        says: [/root: using overlay, as the job requests/, /cache: no device has the label DUTBOOT_CACHE/],
        neverSays: [/composefs image/],
        layersFetched: 3,
      },
    ],
  },
];

describe.concurrent("a store on", { timeout: 900_000 }, () => {
  it.for(CHAINS)("$name", async ({ name, disk: kind, steps }) => {
    const { farm, folder } = guest;
    // A separate name in the registry, so that its log shows whose requests they are.
    const repository = `chain/${name.replaceAll(/\W+/g, "-").toLowerCase()}`;
    await pushCheckedImage(farm, folder, `${repository}:1`);
    const disk = join(folder, `${repository.replace("/", "-")}.raw`);
    if (kind) await createDisk(farm.tools, disk, kind === "ext4" ? { features: "^verity" } : {});
    for (const [index, step] of steps.entries()) {
      await step.before?.(disk);
      const fetchedBefore = await countLayerRequests(repository);
      const { kernel, modules } = kernels.get(step.kernel)!;
      const options = await step.options(disk);
      const run = await guest.boot(`dut.image={registry}/${repository}:1 ${options}`, {
        kernel,
        initrds: [guest.bootFiles.initrd, modules],
        disks: kind ? [{ path: disk, format: "raw" }] : [],
      });
      if (!step.error) expectRightRoot(run, `boot ${index + 1}`);
      else {
        const { error: code } = step;
        expect(run.verdict, describeRun(run)).toMatchObject({
          verdict: "error",
          error: { code, phase: "run" },
        });
      }
      const lines = withoutUptime(run.console);
      for (const pattern of step.says) expect(lines, `boot ${index + 1}`).toMatch(pattern);
      for (const pattern of step.neverSays ?? []) expect(lines, `boot ${index + 1}`).not.toMatch(pattern);
      expect(await countLayerRequests(repository)).toBe(fetchedBefore + step.layersFetched);
      if (kind) await checkDisk(farm.tools, disk);
      console.log(
        `${name}, ${step.kernel}: ${/root: composefs image.*|root: using overlay.*/.exec(lines)?.[0]}`,
      );
    }
  });

  it("a foreign disk is not touched unless the job says so", async () => {
    const disk = join(guest.folder, "foreign.raw");
    await createDisk(guest.farm.tools, disk);
    const run = await guest.boot("dut.cache=/dev/vda", { disks: [{ path: disk, format: "raw" }] });
    expect(run.verdict, describeRun(run)).toMatchObject({
      error: { code: "STORE_DEVICE_FOREIGN", blame: "job", phase: "machine" },
    });
    expect((await readFile(disk)).every((byte) => byte === 0)).toBe(true);
  });
});

function expectRightRoot(run: GuestRun, which: string): void {
  expect(run.verdict, `${which}: ${describeRun(run)}`).toMatchObject({ verdict: "pass", exitCode: 0 });
  expect(run.console).toMatch(new RegExp(`^all ${image.fileCount} files are right\\r?$`, "m"));
}

const withoutUptime = (text: string) => text.replaceAll("\r", "").replaceAll(/^\[ *[\d.]+\] /gm, "");

/** Counts GETs of this image's layers in the registry's access log. */
async function countLayerRequests(repository: string): Promise<number> {
  const log = await readFile(join(guest.farm.path, "registry/registry.log"), "utf8");
  return image.layerDigests.reduce((count, digest) => {
    const request = `"GET /v2/${repository}/blobs/${digest} HTTP/1.1" 200`;
    return count + log.split(request).length - 1;
  }, 0);
}
