/**
 * The store on real devices: loop devices that mkfs.ext4 formats, blkid finds and the kernel mounts, in a mount namespace each.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Dialect } from "../../../agent/job/job.ts";
import type { DeviceChoice } from "../../../agent/store/device/choose-device.ts";

const MiB = 1024 * 1024;

let folder: string;
let loops: string[];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "open-store-"));
  loops = [];
});

afterEach(() => {
  for (const loop of loops) run("losetup", "-d", loop);
  rmSync(folder, { recursive: true });
});

const run = (program: string, ...words: string[]) =>
  execFileSync(program, words, { encoding: "utf8" }).trim();

function addDisk(name: string, content: Buffer | string = ""): string {
  const file = join(folder, name);
  writeFileSync(file, content);
  truncateSync(file, 64 * MiB);
  const loop = run("losetup", "--find", "--show", file);
  loops.push(loop);
  return loop;
}

/** An MBR with one Linux partition. */
function formatPartitionTable(): Buffer {
  const sector = Buffer.alloc(512);
  sector[446 + 4] = 0x83;
  sector.writeUInt32LE(2048, 446 + 8);
  sector.writeUInt32LE(20_480, 446 + 12);
  sector.writeUInt16BE(0x55aa, 510);
  return sector;
}

const readLabel = (device: string) =>
  spawnSync("blkid", ["-p", "-o", "value", "-s", "LABEL", device]).stdout.toString().trim();
const readFeatures = (device: string) =>
  execFileSync("dumpe2fs", ["-h", device], { encoding: "utf8", stdio: "pipe" });

interface Wish {
  choice: DeviceChoice;
  dialect?: Dialect;
  mayFormat?: boolean;
  /** Which disk stands for the machine's only one. */
  spare?: string;
  fileSystem?: string;
}

interface Answer {
  kind?: string;
  outcome?: { kind: string; device?: string };
  error?: string;
  lines: string[];
}

function openIn(wish: Wish): Answer {
  const child = fileURLToPath(import.meta.resolve("./open-store-child.ts"));
  const words = ["--mount", process.execPath, child, JSON.stringify({ folder, ...wish })];
  return JSON.parse(execFileSync("unshare", words, { encoding: "utf8" })) as Answer;
}

describe("a cache device", () => {
  it("is formatted once with verity and encryption, and found again by its label", () => {
    const disk = addDisk("disk");
    const first = openIn({ choice: { device: disk }, dialect: "b2c", mayFormat: true });
    expect(first).toMatchObject({ kind: "cache", outcome: { kind: "device", device: disk } });
    expect(readLabel(disk)).toBe("B2C_CACHE");
    expect(readFeatures(disk)).toMatch(/^Filesystem features:.*\bencrypt\b.*\bverity\b/m);
    const uuid = /^Filesystem UUID:.*$/m.exec(readFeatures(disk))![0];
    for (const dialect of ["dut", "b2c"] as const) {
      expect(openIn({ choice: "auto", dialect })).toMatchObject({ kind: "cache", outcome: { device: disk } });
    }
    expect(readFeatures(disk)).toContain(uuid);
    expect(openIn({ choice: "reset", dialect: "dut" })).toMatchObject({ kind: "cache" });
    expect(readFeatures(disk)).not.toContain(uuid);
    expect(readLabel(disk)).toBe("B2C_CACHE");
  });

  it("is the machine's only disk if the job allows it; its partition table is removed", () => {
    const disk = addDisk("disk", formatPartitionTable());
    const before = readFileSync(join(folder, "disk"));
    const refused = openIn({ choice: "auto", dialect: "b2c", spare: disk });
    expect(refused).toMatchObject({ kind: "ram", outcome: { kind: "failed" } });
    expect(refused.lines.join("\n")).toMatch(/this job runs without a cache/);
    expect(refused.lines.join("\n")).toMatch(/dut\.cache_format=yes/);
    expect(readFileSync(join(folder, "disk")).equals(before)).toBe(true);
    const taken = openIn({ choice: "auto", dialect: "b2c", spare: disk, mayFormat: true });
    expect(taken).toMatchObject({ kind: "cache", outcome: { device: disk } });
    expect(run("blkid", "-p", "-o", "value", "-s", "TYPE", disk)).toBe("ext4");
    expect(readFileSync(join(folder, "disk")).readUInt16BE(510)).toBe(0);
  });

  it("may be a named file system", () => {
    const disk = addDisk("disk");
    run("mkfs.ext4", "-q", "-b", "4096", disk);
    const answer = openIn({ choice: "auto", dialect: "b2c", fileSystem: disk });
    expect(answer).toMatchObject({ kind: "cache", outcome: { kind: "file-system", name: "shared" } });
  });
});

describe("an unusable cache", () => {
  it.each([
    { name: "no such device", wish: { choice: { device: "/dev/none" } }, code: "STORE_NO_DEVICE" },
    { name: "no such label", wish: { choice: { label: "none" } }, code: "STORE_NO_DEVICE" },
  ] as const)("$name: an error in the dut dialect, no cache in boot2container's", ({ wish, code }) => {
    expect(openIn(wish).error).toBe(code);
    const answer = openIn({ ...wish, dialect: "b2c" });
    expect(answer).toMatchObject({ kind: "ram", outcome: { kind: "failed" } });
    expect(answer.lines.join("\n")).toContain(code);
  });

  it("a disk with data", () => {
    const disk = addDisk("disk");
    run("mkswap", disk);
    expect(openIn({ choice: { device: disk } }).error).toBe("STORE_DEVICE_FOREIGN");
    expect(openIn({ choice: { device: disk }, dialect: "b2c" })).toMatchObject({ kind: "ram" });
    expect(run("blkid", "-p", "-o", "value", "-s", "TYPE", disk)).toBe("swap");
  });

  it("a file system that cannot be mounted", () => {
    const answer = openIn({ choice: "auto", dialect: "b2c", fileSystem: "/dev/none" });
    expect(answer).toMatchObject({ kind: "ram", outcome: { kind: "failed" } });
  });
});
