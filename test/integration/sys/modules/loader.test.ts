/**
 * Which modules are tried, in which order, and that nothing about them is fatal: on a made-up machine whose modules no
 * kernel takes. That they load for real is shown by every boot.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { createModuleLoader, type ModuleLoader } from "../../../../agent/sys/modules/loader.ts";

let directory: string;
let logs: string[];
let loader: ModuleLoader;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "dutboot-modules-"));
  logs = [];
  const log = (line: string) => logs.push(line);
  loader = createModuleLoader({
    log: { debug: log, info: log, warn: log },
    modulesPath: join(directory, "modules"),
    sysfsPath: join(directory, "sys"),
    moduleFilesPath: join(directory, "usr_mods"),
    settleMs: 1,
  });
});

afterEach(() => rmSync(directory, { recursive: true }));

function write(path: string, text: string): void {
  mkdirSync(dirname(join(directory, path)), { recursive: true });
  writeFileSync(join(directory, path), text);
}

function addDevice(bus: string, name: string, modalias: string): void {
  write(`sys/bus/${bus}/devices/${name}/modalias`, `${modalias}\n`);
}

function addModules(): void {
  write("modules/modules.alias", "alias pci:v00001AF4d* virtio_pci\nalias virtio:d00000001v* virtio_net\n");
  write(
    "modules/modules.dep",
    "k/virtio_pci.ko: k/virtio_ring.ko k/virtio.ko\nk/virtio_ring.ko: k/virtio.ko\nk/virtio.ko:\nk/virtio_net.ko.xz:\nk/gone.ko:\n",
  );
  write("modules/modules.builtin", "k/ext4.ko\n");
  for (const name of ["virtio_pci", "virtio_ring", "virtio", "virtio_net"])
    write(`modules/k/${name}.ko`, "no module");
}

/** The modules that the kernel was asked to take, in order. */
const tried = () => logs.flatMap((line) => /^modules: (\S+) cannot be loaded/.exec(line)?.[1] ?? []);

test("what a device needs, dependencies first, each once", async () => {
  addModules();
  addDevice("pci", "0000:00:01.0", "pci:v00001AF4d00001041");
  addDevice("pci", "0000:00:02.0", "pci:v00001AF4d00001042");
  addDevice("platform", "x", "platform:unknown");
  expect(await loader.loadForDevices()).toEqual([]);
  expect(tried()).toEqual(["virtio", "virtio_ring", "virtio_pci"]);
});

test("a device that appears later is found by the next call, and nothing is tried twice", async () => {
  addModules();
  addDevice("pci", "0000:00:01.0", "pci:v00001AF4d00001041");
  await loader.loadForDevices();
  logs.length = 0;
  addDevice("virtio", "virtio0", "virtio:d00000001v00001AF4");
  await loader.loadForDevices();
  // In the index with .xz, in the folder without.
  expect(tried()).toEqual(["virtio_net"]);
});

test("by name: built in, unknown, missing its file", async () => {
  addModules();
  expect(await loader.load("ext4")).toBe(true);
  expect(await loader.load("nosuch")).toBe(false);
  expect(await loader.load("gone")).toBe(false);
  expect(logs).toEqual([
    "modules: nosuch is not in this kernel",
    `modules: gone: there is no file "${join(directory, "modules/k/gone.ko")}"`,
  ]);
});

test("a machine without modules says so once", async () => {
  addDevice("pci", "0000:00:01.0", "pci:v00001AF4d00001041");
  await loader.loadForDevices();
  await loader.loadForDevices();
  expect(logs).toEqual([expect.stringContaining("only built-in drivers are there")]);
});

test("files of modules, by their names or paths", async () => {
  write("usr_mods/a.ko", "no module");
  write("elsewhere/b.ko", "no module");
  expect(await loader.loadFile("a.ko")).toBe(false);
  expect(await loader.loadFile(join(directory, "elsewhere/b.ko"))).toBe(false);
  expect(tried()).toEqual(["a.ko", join(directory, "elsewhere/b.ko")]);
  expect(await loader.loadFile("gone.ko")).toBe(false);
  expect(logs.at(-1)).toContain("there is no file");
});
