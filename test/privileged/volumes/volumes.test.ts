/**
 * Volumes on a real ext4 on a loop device: encryption by the kernel's fscrypt, file systems mounted as volumes, owners.
 */
import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Volume } from "../../../agent/job/volume.ts";
import { mount, umount } from "../../../agent/kernel/syscalls.ts";
import { createVolumeManager, type VolumeManager } from "../../../agent/volumes/volume-manager.ts";

const signal = new AbortController().signal;
const KEY = randomBytes(64).toString("base64");
const OTHER_KEY = randomBytes(64).toString("base64");

let folder: string;
let disk: string;

function mountDisk(): void {
  execFileSync("mount", ["-o", "loop", join(folder, "image"), disk]);
}

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "dutboot-volumes-"));
  disk = join(folder, "disk");
  mkdirSync(disk);
});

afterEach(() => {
  execFileSync("umount", ["-q", "-R", disk]);
  rmSync(folder, { recursive: true });
});

function formatDisk(features: string): void {
  execFileSync("truncate", ["-s", "64M", join(folder, "image")]);
  execFileSync("mkfs.ext4", ["-q", "-b", "4096", "-O", features, join(folder, "image")]);
  mountDisk();
}

/** As after a reboot: keys and caches are gone. */
function reboot(): void {
  umount(disk);
  mountDisk();
}

const createVolume = (fields: Partial<Volume>): Volume => ({
  name: "v",
  expiration: "never",
  mirrorOptions: { overwrite: false, remove: false, preserve: false, exclude: [] },
  resetsFscryptKey: false,
  ...fields,
});

async function start(
  fields: Partial<Volume>,
  options: Partial<Parameters<typeof createVolumeManager>[0]> = {},
): Promise<{ manager: VolumeManager; data: string; lines: string[] }> {
  const lines: string[] = [];
  const log = (line: string) => {
    lines.push(line);
  };
  const volume = createVolume(fields);
  const manager = createVolumeManager({
    volumesDir: join(disk, "volumes"),
    volumes: [volume],
    fileSystems: [],
    openBucket: () => {
      throw new Error("Nothing here is mirrored");
    },
    mountFileSystem: () => {},
    log: { info: log, warn: log },
    ...options,
  });
  await manager.prepare({ signal });
  const { mounts } = manager.resolveMounts([
    { kind: "volume", source: volume.name, target: "/v", options: [] },
  ]);
  return { manager, data: mounts[0]!.from, lines };
}

describe("fscrypt", () => {
  beforeEach(() => formatDisk("encrypt,verity"));

  test("a volume is readable only with its key, in every boot", async () => {
    const first = await start({ fscryptKey: KEY });
    writeFileSync(join(first.data, "secret-name"), "secret content");
    await first.manager.finish({ signal });
    // The key went with the job, not only with the machine.
    expect(readdirSync(first.data)).not.toContain("secret-name");
    expect(readFileSync(join(folder, "image")).includes("secret content")).toBe(false);

    reboot();
    const second = await start({ fscryptKey: KEY });
    expect(readFileSync(join(second.data, "secret-name"), "utf8")).toBe("secret content");
    await second.manager.finish({ signal });
    reboot();
    await expect(start({ fscryptKey: OTHER_KEY })).rejects.toMatchObject({ code: "VOLUME_WRONG_KEY" });
    await expect(start({})).rejects.toMatchObject({ code: "VOLUME_KEY_MISSING" });
    // Nor by naming it without defining it.
    const { manager } = await start({ name: "w" });
    expect(() =>
      manager.resolveMounts([{ kind: "volume", source: "v", target: "/v", options: [] }]),
    ).toThrowError(expect.objectContaining({ code: "VOLUME_KEY_MISSING" }));
    const third = await start({ fscryptKey: KEY });
    expect(readdirSync(third.data)).toEqual(["secret-name"]);
  });

  test("fscrypt_reset_key deletes only content with another key", async () => {
    const first = await start({ fscryptKey: KEY });
    mkdirSync(join(first.data, "d"));
    writeFileSync(join(first.data, "d/file"), "x");
    await first.manager.finish({ signal });
    reboot();
    const same = await start({ fscryptKey: KEY, resetsFscryptKey: true });
    expect(readdirSync(same.data)).toEqual(["d"]);
    await same.manager.finish({ signal });
    reboot();
    const other = await start({ fscryptKey: OTHER_KEY, resetsFscryptKey: true });
    expect(readdirSync(other.data)).toEqual([]);
    writeFileSync(join(other.data, "new"), "x");
    await other.manager.finish({ signal });
    reboot();
    await expect(start({ fscryptKey: KEY })).rejects.toMatchObject({ code: "VOLUME_WRONG_KEY" });
  });

  test("a plain volume with files is not treated as encrypted", async () => {
    const plain = await start({});
    writeFileSync(join(plain.data, "file"), "x");
    await plain.manager.finish({ signal });
    await expect(start({ fscryptKey: KEY })).rejects.toMatchObject({ code: "VOLUME_WRONG_KEY" });
    const taken = await start({ fscryptKey: KEY, resetsFscryptKey: true });
    expect(readdirSync(taken.data)).toEqual([]);
  });

  test("an encrypted volume can expire with and without its key", async () => {
    for (const finishes of [true, false]) {
      const job = await start({ fscryptKey: KEY, expiration: "pipeline_end" });
      writeFileSync(join(job.data, "file"), "x");
      if (finishes) await job.manager.finish({ signal });
      reboot();
      if (finishes) expect(readdirSync(join(disk, "volumes"))).toEqual([]);
    }
    const { manager } = await start({ name: "w" });
    expect(readdirSync(join(disk, "volumes"))).toEqual(["w"]);
    await manager.finish({ signal });
  });

  test.each([
    ["short", randomBytes(32).toString("base64")],
    ["not base64", "!".repeat(88)],
  ])("a key that is %s", async (_name, fscryptKey) => {
    const error = await start({ fscryptKey }).catch((thrown: unknown) => thrown as Error);
    expect(error).toMatchObject({ code: "VOLUME_BAD_KEY" });
    expect((error as Error).message).not.toContain(fscryptKey);
  });
});

test("reports a disk that does not support encryption", async () => {
  formatDisk("verity,^encrypt");
  await expect(start({ fscryptKey: KEY })).rejects.toMatchObject({ code: "VOLUME_ENCRYPTION_UNSUPPORTED" });
});

test("reports that a volume in memory cannot be encrypted", async () => {
  mount({ target: disk, type: "tmpfs" });
  await expect(start({ fscryptKey: KEY })).rejects.toMatchObject({ code: "VOLUME_ENCRYPTION_UNSUPPORTED" });
});

test("mounts a file system as the volume, and keeps its files when the volume expires", async () => {
  formatDisk("verity");
  const share = join(folder, "share");
  mkdirSync(share);
  writeFileSync(join(share, "theirs"), "x");
  const fileSystems = [{ name: "share", source: share, options: [] }];
  const { manager, data } = await start(
    { fileSystem: "share", expiration: "pipeline_end" },
    {
      fileSystems,
      mountFileSystem: ({ source }, target) => {
        execFileSync("mount", ["--bind", source, target]);
      },
    },
  );
  writeFileSync(join(data, "ours"), "x");
  await manager.finish({ signal });
  expect(readdirSync(share).sort()).toEqual(["ours", "theirs"]);
  expect(readdirSync(join(disk, "volumes"))).toEqual([]);
});

test("fails a volume whose file system cannot be mounted", async () => {
  formatDisk("verity");
  const mountFileSystem = () => {
    throw new Error("no such server");
  };
  const fileSystems = [{ name: "share", source: "x", options: [] }];
  await expect(start({ fileSystem: "share" }, { fileSystems, mountFileSystem })).rejects.toThrow(
    "no such server",
  );
});

test("sets the owners and modes that an object names", async () => {
  formatDisk("verity");
  const attributes: Record<string, string> = {
    tool: "mode:35309/uid:1234/gid:567/mtime:1000000000#5",
    plain: "uid:99/mode:33206",
    silent: "",
  };
  const openBucket = () => ({
    async *list() {
      for (const key of Object.keys(attributes)) yield { key, sizeBytes: 1 };
    },
    get: async (key: string) => ({
      body: (async function* () {
        yield Buffer.from("x");
      })(),
      metadata: { "mc-attrs": attributes[key]! },
    }),
    put: async () => ({}),
    delete: async () => {},
  });
  const volume = {
    pull: { alias: "a", bucket: "b", prefix: "", on: ["pipeline_start" as const] },
    mirrorOptions: { overwrite: false, remove: false, preserve: true, exclude: [] },
  };
  const { manager, data } = await start(volume, { openBucket });
  await manager.runHooks("pipeline_start", { signal });
  const found = Object.keys(attributes).map((name) => {
    const { mode, uid, gid } = statSync(join(data, name));
    return [mode & 0o7777, uid, gid];
  });
  expect(found).toEqual([
    [0o4755, 1234, 567],
    [0o666, 99, 0],
    [0o644, 0, 0],
  ]);
  expect(statSync(join(data, "tool"), { bigint: true }).mtimeNs).toBe(1_000_000_000_000_000_005n);
  await manager.finish({ signal });
});

describe("bind mounts", () => {
  beforeEach(() => formatDisk("verity"));
  const bind = (source: string) => [{ kind: "bind" as const, source, target: "/b", options: ["ro"] }];

  test("of existing paths are mounted", async () => {
    const { manager } = await start({});
    expect(manager.resolveMounts(bind("/dev/../etc"))).toEqual({
      mounts: [{ from: "/etc", to: "/b", options: ["rbind", "rprivate", "ro"] }],
      tmpfs: [],
    });
  });

  test("of missing paths are an error of the step", async () => {
    const { manager } = await start({});
    expect(() => manager.resolveMounts(bind("/none"))).toThrowError(
      expect.objectContaining({ code: "VOLUME_NO_SOURCE" }),
    );
  });

  test("of boot2container's paths are stored on the disk, and nowhere else", async () => {
    const sharedPaths = ["/storage", "/container"];
    const { manager } = await start({}, { sharedPaths });
    const from = (path: string) => manager.resolveMounts(bind(path)).mounts[0]!.from;
    writeFileSync(join(from("/container/tmp"), "file"), "x");
    await manager.finish({ signal });
    reboot();
    const next = await start({}, { sharedPaths });
    const path = next.manager.resolveMounts(bind("/storage/tmp")).mounts[0]!.from;
    expect(readdirSync(path)).toEqual(["file"]);
    expect(path.startsWith(disk)).toBe(true);
    expect(next.manager.resolveMounts(bind("/storage/../etc")).mounts[0]!.from).toBe("/etc");
  });
});

describe("an empty named volume", () => {
  beforeEach(() => formatDisk("verity"));
  const named = (target: string, options: string[] = []) => [
    { kind: "volume" as const, source: "v", target, options },
  ];

  function makeRoot(): string {
    const rootPath = join(folder, "root");
    mkdirSync(join(rootPath, "real/deep"), { recursive: true });
    writeFileSync(join(rootPath, "real/deep/file"), "x", { mode: 0o640 });
    chownSync(join(rootPath, "real"), 1234, 567);
    chmodSync(join(rootPath, "real"), 0o1777);
    symlinkSync("/real", join(rootPath, "link"));
    return rootPath;
  }

  test("gets the image's content at its mount point, with owner and mode", async () => {
    const rootPath = makeRoot();
    const { manager, data } = await start({});
    manager.resolveMounts(named("/link"), { rootPath });
    const { mode, uid, gid } = statSync(data);
    expect([mode & 0o7777, uid, gid]).toEqual([0o1777, 1234, 567]);
    expect(statSync(join(data, "deep/file")).mode & 0o7777).toBe(0o640);
    rmSync(join(data, "deep/file"));
    manager.resolveMounts(named("/link"), { rootPath });
    expect(readdirSync(join(data, "deep"))).toEqual([]);
  });

  test.each([
    ["/none", []],
    ["/real", ["nocopy"]],
  ])("gets nothing of %s with %j", async (target, options) => {
    const { manager, data } = await start({});
    manager.resolveMounts(named(target, options), { rootPath: makeRoot() });
    expect(readdirSync(data)).toEqual([]);
  });
});
