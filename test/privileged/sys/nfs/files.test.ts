/** Files of an export are read inside its mount, which is there for as long as one of them is open. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { mount } from "../../../../agent/kernel/syscalls.ts";
import { createNfsFiles, type NfsFiles } from "../../../../agent/sys/nfs/files.ts";

const MS_BIND = 4096;
let folder: string;
let files: NfsFiles;
const mounted: string[] = [];

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "dutboot-nfs-files-"));
  mkdirSync(join(folder, "srv/a"), { recursive: true });
  writeFileSync(join(folder, "srv/a/one.tar"), "one");
  writeFileSync(join(folder, "srv/a/two.tar"), "two");
  writeFileSync(join(folder, "secret"), "secret");
  symlinkSync(join(folder, "secret"), join(folder, "srv/a/absolute"));
  symlinkSync("../../secret", join(folder, "srv/a/upwards"));
  files = createNfsFiles({
    stateDir: join(folder, "mounts"),
    // In place of a server's export.
    async mount({ server, path, options }, target) {
      if (server !== "nas") throw new Error("refused");
      mounted.push([path, ...options].join(" "));
      mount({ source: join(folder, path), target, flags: MS_BIND });
    },
  });
});
afterAll(() => rmSync(folder, { recursive: true }));

const countMounts = () => readFileSync("/proc/mounts", "utf8").split(`${folder}/mounts`).length - 1;

it("two files of one directory share a mount until the last is closed", async () => {
  const [one, two] = await Promise.all([
    files.open("nfs://nas:20490/srv/a/one.tar"),
    files.open("nfs://nas:20490/srv/a/two.tar"),
  ]);
  expect(mounted).toEqual(["/srv/a port=20490"]);
  expect([readFileSync(one.fd, "utf8"), readFileSync(two.fd, "utf8")]).toEqual(["one", "two"]);
  one.close();
  one.close();
  expect(countMounts()).toBe(1);
  two.close();
  expect(countMounts()).toBe(0);
});

it.each(["absolute", "upwards", "no"])("does not read files outside of the export: %s", async (name) => {
  await expect(files.open(`nfs://nas/srv/a/${name}`)).rejects.toMatchObject({ code: "SOURCE_NOT_FOUND" });
  expect(countMounts()).toBe(0);
});

it("reports the error of a refused mount each time", async () => {
  await expect(files.open("nfs://other/srv/a/one.tar")).rejects.toThrow("refused");
  await expect(files.open("nfs://other/srv/a/one.tar")).rejects.toThrow("refused");
});
