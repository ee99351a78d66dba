/**
 * One recorded boot yields a disk for every moment at which the power could fail (qemu/power-cut). Each of them is
 * booted and must pass from the cache, without a wrong byte in the root or the store.
 */
import { copyFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { writeCutDisk } from "../../../qemu/power-cut/cut-disk.ts";
import { createRandom, planCut } from "../../../qemu/power-cut/plan-cut.ts";
import { type LogEntry, planLoggedDisk, readWriteLog } from "../../../qemu/power-cut/write-log.ts";
import { pushCheckedImage } from "../agent/checked-image.ts";
import { describeRun, type FarmGuest } from "../agent/farm-guest.ts";
import { checkDisk, createDisk } from "../root/cache-disk.ts";
import { findWrongObjects } from "./store-on-disk.ts";

const FIRST = "cut/image:1";
const SECOND = "cut/image:2";
/** Enough for one of the two images: the pull of the second deletes the first. */
const QUOTA = "dut.cache_quota=6M";

export interface Recording {
  name: string;
  /** The disk before the boot. */
  base: string;
  entries: readonly LogEntry[];
  /** The images of the boots after the cuts, in turn. */
  imagesAfter: readonly string[];
}

export interface RecordingKind {
  name: string;
  /** Options of mkfs.ext4. */
  features: "verity" | "^verity";
  /** `update`: an earlier pull's image is deleted. */
  pull: "first" | "update";
}

export const RECORDINGS: readonly RecordingKind[] = [
  { name: "a first pull, sealed objects", features: "verity", pull: "first" },
  { name: "a first pull, no seals", features: "^verity", pull: "first" },
  { name: "an update that drops the old image, sealed objects", features: "verity", pull: "update" },
  { name: "an update that drops the old image, no seals", features: "^verity", pull: "update" },
];

export async function pushCutImages({ farm, folder }: FarmGuest): Promise<void> {
  await pushCheckedImage(farm, folder, FIRST, "first");
  await pushCheckedImage(farm, folder, SECOND, "second");
}

/** Boots once (twice for an update) and logs every write to the disk. */
export async function recordBoot(
  guest: FarmGuest,
  { name, features, pull }: RecordingKind,
): Promise<Recording> {
  const place = (suffix: string) => join(guest.folder, `${name.replaceAll(/\W+/g, "-")}-${suffix}`);
  const [base, disk, log] = [place("base.raw"), place("disk.raw"), place("writes.log")];
  await createDisk(guest.farm.tools, base, { features });
  if (pull === "update")
    await bootOrThrow(guest, FIRST, { disks: [{ path: base, format: "raw" }] }, "the boot before");
  await copyFile(base, disk);
  await writeFile(log, "");
  const image = pull === "update" ? SECOND : FIRST;
  await bootOrThrow(guest, image, { extraArguments: planLoggedDisk(disk, log) }, "the recorded boot");
  await rm(disk);
  const imagesAfter = pull === "update" ? [FIRST, SECOND] : [FIRST];
  return { name, base, entries: await readWriteLog(log), imagesAfter };
}

export interface CutResult {
  /** Where the cut was, what was lost, and what the next boot reported. */
  line: string;
  /** Detected errors; empty if all is well. */
  faults: string[];
}

/** Boots on the disk after a cut at `share` (0 to 1) of the recorded writes. */
export async function bootAfterCut(
  guest: FarmGuest,
  recording: Recording,
  { seed, share }: { seed: number; share: number },
): Promise<CutResult> {
  const { entries, base, imagesAfter } = recording;
  const entryCount = Math.floor(share * (entries.length + 1));
  const plan = planCut(entries, entryCount, createRandom(seed));
  const disk = `${base}-cut-${seed}`;
  const image = imagesAfter[seed % imagesAfter.length]!;
  try {
    await writeCutDisk(base, plan, disk);
    const { run, faults } = await bootChecked(guest, image, { disks: [{ path: disk, format: "raw" }] });
    await checkDisk(guest.farm.tools, disk).catch((error: Error) => faults.push(error.message));
    faults.push(...(await findWrongObjects(guest.farm.tools, disk, `${disk}-objects`)));
    const said = ["deleted \\d+ incomplete writes", "\\d+ of \\d+ objects of", "is stored"].map(
      (pattern) => run.console.match(new RegExp(pattern, "g"))?.join(", ") ?? "",
    );
    const taken = `${plan.lost} lost, ${plan.torn} torn, ${plan.kept} kept since the last flush`;
    const line = `seed ${seed}: after ${entryCount} of ${entries.length} writes (${taken}), ${image}: ${said.filter(Boolean).join("; ") || "nothing was there"}`;
    return { line, faults };
  } finally {
    await rm(disk, { force: true });
  }
}

type Machine = Parameters<FarmGuest["boot"]>[1];

async function bootOrThrow(guest: FarmGuest, image: string, machine: Machine, which: string) {
  const { faults } = await bootChecked(guest, image, machine);
  if (faults.length > 0) throw new Error(`Cannot record: ${which} went wrong: ${faults.join("; ")}`);
}

async function bootChecked(guest: FarmGuest, image: string, machine: Machine) {
  const run = await guest.boot(
    `dut.image={registry}/${image} dut.cache=auto ${QUOTA} dut.timeout=5m`,
    machine,
  );
  const faults: string[] = [];
  if (run.verdict?.verdict !== "pass") faults.push(`no pass: ${describeRun(run)}`);
  if (!/all \d+ files are right/.test(run.console)) faults.push("the root's files were not all right");
  if (!/cache: \/dev\/vda .* mounted/.test(run.console)) faults.push("the cache was not used");
  // If a tree exists, its objects must exist: a cut must never separate them.
  if (/objects of .* are damaged or missing/.test(run.console)) faults.push("the store had a broken tree");
  return { run, faults };
}
