/**
 * Roots on an NFS server: by the kernel's own parameters, with server and path from the line or from DHCP,
 * and by ours; archives from the server and results to it. The server is nfs-ganesha, versions 3 and 4.2.
 */
import { copyFileSync, existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type BootOptions, type BootResult, bootDut } from "../../../qemu/boot-dut.ts";
import { type Gateway, startGateway } from "../../../qemu/farm/gateway.ts";
import { type NfsServer, type NfsShare, startNfsServer } from "../../../qemu/farm/nfs-server.ts";
import { claimRunDirectory } from "../../../qemu/run-directory.ts";
import { ensureBusyboxImage } from "../../../qemu/test-image/busybox-image.ts";
import { ensureToolsRoot, type ToolsRoot } from "../../../qemu/tools-root.ts";
import { type BootFiles, prepareBootFiles } from "../../../scripts/prepare.ts";
import { findProcesses } from "../../integration/farm/find-processes.ts";
import { buildTar } from "../../unit/archive/tar-builder.ts";

const APPLETS = ["sh", "cat", "echo", "ls", "sync", "mount"];
/** A short version of a LAVA root's init: identifies itself, writes, and prints the line that Mesa waits for. */
const INIT = `#!/bin/sh
PATH=/bin
echo "init of the export: $(cat /etc/release)"
echo written >/written && sync
echo "hwci: mesa: exit_code: 0"
`;

let folder: string;
let tools: ToolsRoot;
let bootFiles: BootFiles;
const log = () => {};

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "dutboot-nfs-roots-"));
  [tools, bootFiles] = await Promise.all([ensureToolsRoot({ log }), prepareBootFiles()]);
});
afterAll(async () => {
  const left = await findProcesses(folder);
  await rm(folder, { recursive: true, force: true });
  expect(left).toEqual([]);
});

let root: string;
let results: string;
let shares: NfsShare[];
beforeEach(() => {
  const base = join(folder, `case-${performance.now()}`);
  root = join(base, "root");
  results = join(base, "results");
  for (const path of ["bin", "etc", "proc", "sys", "dev", "tmp"])
    mkdirSync(join(root, path), { recursive: true });
  mkdirSync(results);
  copyFileSync(join(tools.path, "usr/bin/busybox"), join(root, "bin/busybox"));
  for (const applet of APPLETS) symlinkSync("busybox", join(root, "bin", applet));
  writeFileSync(join(root, "etc/release"), "farm root 42");
  writeFileSync(join(root, "init"), INIT, { mode: 0o755 });
  writeFileSync(join(root, "install.tar"), buildTar([{ path: "install/VERSION", content: "artifact 7" }]));
  shares = [
    { directory: root, path: "/export/root", isWritable: true },
    { directory: results, path: "/export/results", isWritable: true },
  ];
});

interface Run extends BootResult {
  console: string;
}

async function boot(commandLine: string, options: Partial<BootOptions> = {}): Promise<Run> {
  const result = await bootDut({
    toolsRoot: tools,
    runDirectory: await claimRunDirectory(join(folder, "runs")),
    kernel: bootFiles.kernel,
    initrds: [bootFiles.initrd, bootFiles.modules],
    commandLine: `quiet ${commandLine}`,
    memoryMiB: 768,
    timeoutMs: 300_000,
    ...options,
  });
  return { ...result, console: await readFile(result.consolePath, "latin1") };
}

function expectInitRan(run: Run): void {
  expect(run.verdict, run.console.slice(-4000)).toMatchObject({ verdict: "pass", exitCode: 0 });
  expect(run.console).toMatch(/^init of the export: farm root 42\r?$/m);
  expect(run.console).toMatch(/^hwci: mesa: exit_code: 0\r?$/m);
}

describe("the kernel's own parameters, on a farm's network", () => {
  let gateway: Gateway;
  let server: NfsServer;

  async function startFarm(dnsmasqOptions: readonly string[] = []): Promise<void> {
    const path = join(folder, `farm-${performance.now()}`);
    gateway = await startGateway({ tools, folder: path, ports: [], log, dnsmasqOptions });
    const gatewayAddress = gateway.address;
    server = await startNfsServer({
      tools: gateway.tools,
      folder: path,
      shares,
      gatewayAddress,
      onDeath: log,
    });
  }
  const stopFarm = async () => {
    await server?.stop();
    await gateway?.stop();
  };
  const bootThere = (line: string) => boot(line, { toolsRoot: gateway.tools, nics: [gateway.nic] });

  it("LAVA's line: server and path given, version 3, writable", async () => {
    await startFarm();
    try {
      const nfsroot = `${gateway.address}:/export/root,tcp,hard,v3`;
      const run = await bootThere(
        `root=/dev/nfs rw nfsroot=${nfsroot} ip=dhcp init=/init rootwait usbcore.quirks=0bda:8153:k`,
      );
      expectInitRan(run);
      expect(run.console).toMatch(/mounted by version 3, writable/);
      expect(readFileSync(join(root, "written"), "utf8")).toBe("written\n");
    } finally {
      await stopFarm();
    }
  });

  it("a bare-metal farm's line: server and path from DHCP, version 4.2, read-only", async () => {
    await startFarm(["--dhcp-option-force=option:root-path,10.0.2.2:/export/root"]);
    try {
      const run = await bootThere("ip=dhcp root=/dev/nfs nfsrootdebug nfsroot=,tcp,nfsvers=4.2 init=/init");
      expectInitRan(run);
      expect(run.console).toMatch(/mounted by version 4\.2 in/);
      expect(existsSync(join(root, "written"))).toBe(false);
    } finally {
      await stopFarm();
    }
  });
});

describe("boot2container's shared image store", () => {
  it("runs an image by its id from podman's storage", async () => {
    const image = await ensureBusyboxImage(tools, { log });
    const storage = join(folder, "images");
    const to = `containers-storage:[overlay@${storage}/graph+${storage}/run]registry.farm/test/busybox:1`;
    await tools.run("skopeo", ["copy", "--quiet", "--insecure-policy", `oci:${image}:latest`, to]);
    const [{ id }] = JSON.parse(readFileSync(join(storage, "graph/overlay-images/images.json"), "utf8"));
    const share = { directory: join(storage, "graph"), path: "/images", isWritable: false };
    const server = await startNfsServer({
      tools,
      folder: join(folder, "store"),
      shares: [share],
      onDeath: log,
    });
    try {
      const run = await boot(
        [
          `b2c.filesystem=store,type=nfs,src=10.0.2.2:/images,opts=port=${server.port}|vers=4.2`,
          'b2c.storage="additionalimagestores=store" b2c.pipefail',
          `b2c.run="${id.slice(0, 12)} cat /etc/motd"`,
          "b2c.run=\"registry.farm/test/busybox:1 sh -c 'test ! -e /removed && exit 4'\"",
        ].join(" "),
      );
      expect(run.verdict, run.console.slice(-4000)).toMatchObject({ verdict: "fail", exitCode: 4 });
      expect(run.console).toMatch(/^layer 2\r?$/m);
      expect(run.console).toMatch(/in an image store, so nothing is fetched/);
    } finally {
      await server.stop();
    }
  });
});

describe("our own options, on any port", () => {
  it("root, artifact and results on one server", async () => {
    const server = await startNfsServer({ tools, folder: join(folder, "own"), shares, onDeath: log });
    try {
      const at = `nfs://10.0.2.2:${server.port}/export`;
      const run = await boot(
        [
          `dut.rootfs=${at}/root,vers=4.2 dut.artifact=${at}/root/install.tar,to=/opt dut.results=${at}/results`,
          `dut.run="cat /etc/release /opt/install/VERSION >/results/seen && echo x >/written" dut.timeout=5m`,
        ].join(" "),
      );
      expect(run.verdict, run.console.slice(-4000)).toMatchObject({ verdict: "pass", exitCode: 0 });
      expect(readFileSync(join(results, "seen"), "utf8")).toBe("farm root 42artifact 7");
      expect(JSON.parse(readFileSync(join(results, "verdict.json"), "utf8"))).toMatchObject({
        verdict: "pass",
      });
      expect(existsSync(join(root, "written"))).toBe(false);
    } finally {
      await server.stop();
    }
  });

  it.each([
    ["a path that nobody exports", "/nowhere", "NFS_REFUSED", "config"],
    ["a port where nobody listens", undefined, "NFS_UNREACHABLE", "infra"],
  ])("refuses %s", async (_name, path, code, blame) => {
    const server = await startNfsServer({ tools, folder: join(folder, "refusing"), shares, onDeath: log });
    try {
      const place = path === undefined ? "10.0.2.2:1/export/root" : `10.0.2.2:${server.port}${path}`;
      const run = await boot(`dut.rootfs=nfs://${place},vers=4.2 dut.run=true dut.timeout=4m`);
      expect(run.verdict, run.console.slice(-4000)).toMatchObject({
        verdict: "error",
        error: { code, blame },
      });
    } finally {
      await server.stop();
    }
  });
});
