/**
 * Which modules the agent asks kmod for and what it logs, on a made-up machine with scripts in place of kmod's programs.
 * Every boot test shows that real modules load.
 */
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { createModuleLoader, type ModuleLoader, namesModule } from "../../../../agent/sys/machine/modules.ts";

let directory: string;
let logs: string[];
let loader: ModuleLoader;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "dutboot-modules-"));
  logs = [];
  for (const tool of ["modprobe", "insmod", "depmod"]) setTool(tool, "");
  write("modules/6.1.0/modules.dep.bin", "");
  loader = createLoader();
});

afterEach(() => rmSync(directory, { recursive: true }));

function createLoader(): ModuleLoader {
  const log = (line: string) => logs.push(line);
  return createModuleLoader({
    log: { debug: log, info: log, warn: log },
    modulesPath: join(directory, "modules/6.1.0"),
    sysfsPath: join(directory, "sys"),
    procPath: join(directory, "proc"),
    moduleFilesPath: join(directory, "usr_mods"),
    toolsPath: join(directory, "tools"),
    settleMs: 1,
  });
}

function write(path: string, text: string): void {
  mkdirSync(dirname(join(directory, path)), { recursive: true });
  writeFileSync(join(directory, path), text);
}

/** A program that records its arguments and then does what `script` says. */
function setTool(name: string, script: string): void {
  const path = `tools/${name}`;
  write(path, `#!/bin/sh\ncd "${directory}"\nfor each; do echo "${name} $each" >>calls; done\n${script}\n`);
  chmodSync(join(directory, path), 0o755);
}

function addDevice(bus: string, name: string, modalias: string): void {
  write(`sys/bus/${bus}/devices/${name}/modalias`, `${modalias}\n`);
}

/** Arguments of kmod's programs since the last call of this function, without options. */
function takeCalls(): string[] {
  const path = join(directory, "calls");
  if (!existsSync(path)) return [];
  const calls = readFileSync(path, "utf8").trim().split("\n");
  rmSync(path);
  return calls.filter((call) => !/ -/.test(call)).sort();
}

it("asks for each modalias once and logs what was loaded", async () => {
  write("proc/modules", "virtio 16384 0 - Live 0x0\n");
  setTool("modprobe", 'echo "failover 1 1 net_failover, Live 0x0\nvirtio 16384 0 - Live 0x0" >proc/modules');
  addDevice("pci", "0000:00:01.0", "pci:v00001AF4d00001041");
  addDevice("pci", "0000:00:02.0", "pci:v00001AF4d00001041");
  addDevice("platform", "x", "platform:unknown");
  await loader.loadForDevices();
  expect(takeCalls()).toEqual(["modprobe pci:v00001AF4d00001041", "modprobe platform:unknown"]);
  expect(logs).toEqual([
    expect.stringMatching(/^modules: 1 loaded in \d+\.\d s for 2 kinds of devices: failover$/),
  ]);
});

it("finds a device that a driver added, and one that appears before the next call", async () => {
  setTool("modprobe", "mkdir -p sys/bus/virtio/devices/0; echo virtio:d1 >sys/bus/virtio/devices/0/modalias");
  addDevice("pci", "0000:00:01.0", "pci:v00001AF4d00001041");
  await loader.loadForDevices();
  expect(takeCalls()).toEqual(["modprobe pci:v00001AF4d00001041", "modprobe virtio:d1"]);
  addDevice("usb", "1-1", "usb:v0BDAp8153");
  await loader.loadForDevices();
  expect(takeCalls()).toEqual(["modprobe usb:v0BDAp8153"]);
});

it("loads several modules by one call, except those in the kernel already", async () => {
  write("sys/module/virtio_net/refcnt", "0");
  expect(await loader.load("virtio-net")).toBe(true);
  expect(takeCalls()).toEqual([]);
  expect(await loader.load("overlay", "virtio-net", "loop")).toBe(true);
  expect(takeCalls()).toEqual(["modprobe loop", "modprobe overlay"]);
  expect(logs).toEqual([]);
});

it.each([
  ["modprobe: WARNING: Module nosuch not found in directory /m", "modules: nosuch is not in this kernel"],
  ["modprobe: ERROR: could not insert 'i915': No such device", "modules: i915 found no device"],
  [
    "modprobe: ERROR: could not insert 'i915': Exec format error",
    "modules: i915 cannot be loaded: Exec format error",
  ],
  ["modprobe: ERROR: something else", "modules: modprobe: ERROR: something else"],
])("logs kmod's error: %s", async (line, expected) => {
  setTool("modprobe", `echo "${line}" >&2; exit 1`);
  expect(await loader.load("any")).toBe(false);
  expect(logs).toEqual([expected]);
});

it("does not log devices without a driver", async () => {
  addDevice("pci", "0000:00:01.0", "pci:v1");
  setTool("modprobe", 'echo "modprobe: WARNING: Module pci:v1 not found in directory /m" >&2; exit 1');
  await loader.loadForDevices();
  expect(logs).toEqual([]);
});

it.each([
  ["none are there", [], "MODULES_MISSING", 'modules/6.1.0" is missing'],
  ["they are of another kernel", ["6.12.9/modules.dep.bin"], "MODULES_FOREIGN", 'another kernel, "6.12.9"'],
])("names the fault of the modules and logs it once: %s", async (_name, files, code, reason) => {
  rmSync(join(directory, "modules/6.1.0"), { recursive: true });
  for (const file of files) write(`modules/${file}`, "");
  const other = createLoader();
  addDevice("pci", "0000:00:01.0", "pci:v00001AF4d00001041");
  await other.loadForDevices();
  expect(await other.load("overlay")).toBe(false);
  expect(takeCalls()).toEqual([]);
  expect(other.fault).toEqual({ code, reason: expect.stringContaining(reason) });
  expect(logs).toEqual([expect.stringMatching(/another kernel.*only built-in|missing: only built-in/)]);
});

it("names the fault of an archive that was cut, and uses what is there", async () => {
  rmSync(join(directory, "modules/6.1.0/modules.dep.bin"));
  const cut = createLoader();
  expect(cut.fault).toMatchObject({
    code: "MODULES_MISSING",
    reason: expect.stringContaining("no modules.dep"),
  });
  expect(await cut.load("overlay")).toBe(true);
  write("modules/6.1.0/modules.dep.bin", "");
  expect(createLoader().fault).toBeUndefined();
});

it("runs depmod where the binary index is missing", async () => {
  rmSync(join(directory, "modules/6.1.0/modules.dep.bin"));
  expect(await loader.load("overlay")).toBe(true);
  expect(takeCalls()).toEqual([expect.stringMatching(/^depmod /), "modprobe overlay"]);
  expect(logs).toEqual([expect.stringContaining("has no modules.dep.bin, running depmod")]);
});

it("loads files of modules by name or path", async () => {
  write("sys/module/c/refcnt", "0");
  expect(await loader.loadFile("a.ko")).toBe(true);
  expect(await loader.loadFile("/elsewhere/b.ko.xz")).toBe(true);
  expect(await loader.loadFile("c.ko.zst")).toBe(true);
  expect(takeCalls()).toEqual(
    [`insmod ${join(directory, "usr_mods/a.ko")}`, "insmod /elsewhere/b.ko.xz"].sort(),
  );
  expect(logs).toEqual(["modules: a.ko loaded", "modules: /elsewhere/b.ko.xz loaded"]);
  setTool("insmod", 'echo "insmod: ERROR: could not load module $1: No such file or directory" >&2; exit 1');
  expect(await loader.loadFile("/gone.ko")).toBe(false);
  expect(logs.at(-1)).toBe("modules: /gone.ko cannot be loaded: No such file or directory");
});

it.each([
  ["quiet ramoops.mem_size=1", true],
  ["ramoops.ecc", true],
  ["xramoops.mem_size=1 ramoops", false],
])("finds parameters of a module in %j: %s", (line, expected) => {
  expect(namesModule(line, "ramoops")).toBe(expected);
});
