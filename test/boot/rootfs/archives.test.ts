/**
 * Roots that are not images: LAVA's base, overlay and build tarballs, and a root that boots its own init.
 */
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { writeExtraArchive } from "../../../scripts/extra-archive.ts";
import { buildTar } from "../../unit/archive/tar-builder.ts";
import { createFarmGuest, describeRun, type FarmGuest } from "../agent/farm-guest.ts";

const RUNNER = `#!/bin/sh
echo "<LAVA_SIGNAL_STARTTC mesa>"
echo "<0><LAVA_SIGNAL_ENDTC mesa>" > /dev/kmsg
cat /etc/issue /lib/modules/marker
ls -ld /lib
echo "hwci: mesa: exit_code: 3"
exit 3
`;

const INIT = `#!/bin/sh
echo "init is process $$ of a machine of its own"
echo collected > /results/from-init
exec poweroff -f
`;

let guest: FarmGuest;
let bakedArchive: string;
const sha256 = new Map<string, string>();

beforeAll(async () => {
  guest = await createFarmGuest();
  const busybox = readFileSync(join(guest.farm.tools.path, "usr/bin/busybox"));
  const base = buildTar([
    { path: "bin/", type: "directory", mode: 0o755 },
    { path: "bin/busybox", mode: 0o755, content: busybox },
    ...["sh", "cat", "echo", "ls", "poweroff"].map(
      (name) => ({ path: `bin/${name}`, type: "symlink", linkPath: "busybox" }) as const,
    ),
    { path: "usr/lib/", type: "directory", mode: 0o755 },
    { path: "lib", type: "symlink", linkPath: "usr/lib" },
    { path: "etc/issue", content: "base\n" },
    { path: "init", mode: 0o755, content: INIT },
  ]);
  const archives: Record<string, Buffer> = {
    "base.tar.gz": gzipSync(base),
    "modules.tar": buildTar([{ path: "lib/modules/marker", content: "modules\n" }]),
    "build.tar.zst": zstdCompressSync(
      buildTar([
        { path: "etc/issue", content: "build\n" },
        { path: "install/run.sh", mode: 0o755, content: RUNNER },
      ]),
    ),
  };
  for (const [name, content] of Object.entries(archives)) {
    sha256.set(name, createHash("sha256").update(content).digest("hex"));
    writeFileSync(join(guest.farm.http.root, name), content);
  }
  bakedArchive = join(guest.folder, "baked.cpio");
  const baked = ["base.tar.gz", "build.tar.zst"].map((path) => ({ path, content: archives[path]! }));
  await writeExtraArchive(bakedArchive, baked);
});
afterAll(() => guest?.stop());

describe.concurrent("a root of archives", { timeout: 600_000 }, () => {
  it("stacks three tarballs and passes on the farm's lines", async () => {
    const roots = ["base.tar.gz", "modules.tar", "build.tar.zst"].map(
      (name) => `dut.rootfs={https}/${name},sha256=${sha256.get(name)}`,
    );
    const run = await guest.boot(`${roots.join(" ")} dut.run=/install/run.sh`);
    expect(run.verdict, describeRun(run)).toMatchObject({ verdict: "fail", exitCode: 3 });
    expect(run.console).toMatch(/^build\r?\nmodules\r?$/m);
    // A later archive with lib/… must not replace the link by a directory.
    expect(run.console).toMatch(/\/lib -> usr\/lib\r?$/m);
    expect(run.console).toMatch(/^hwci: mesa: exit_code: 3\r$/m);
    expect(run.console).toMatch(/^<LAVA_SIGNAL_STARTTC mesa>\r$/m);
    expect(run.console).toContain("<LAVA_SIGNAL_ENDTC mesa>");
  });

  it("runs a root from the initrd on a machine without a network card", async () => {
    const { initrd, modules } = guest.bootFiles;
    const run = await guest.boot(
      'dut.rootfs=file:/base.tar.gz dut.rootfs=file:/build.tar.zst dut.run="/install/run.sh"',
      { isAlone: true, nics: [], initrds: [initrd, modules, bakedArchive] },
    );
    expect(run.verdict, describeRun(run)).toMatchObject({ verdict: "fail", exitCode: 3 });
    expect(run.console).toMatch(/network: the job goes on without/);
    expect(run.console).toMatch(/^hwci: mesa: exit_code: 3\r$/m);
    expect(run.console).toMatch(/reproduce in QEMU: /);
  });

  it("gives LAVA's dispatcher a shell for its test runner", async () => {
    let seen = "";
    let isTyped = false;
    const run = await guest.boot("dut.rootfs={https}/base.tar.gz dut.shell=yes", {
      onScreen(chunk, type) {
        seen += chunk.toString("latin1");
        if (isTyped || !seen.includes("lava-shell:")) return;
        isTyped = true;
        type("echo '<LAVA_TEST_RUNNER'' EXIT>'; cat /etc/issue; exit 4\n");
      },
    });
    expect(run.verdict, describeRun(run)).toMatchObject({ verdict: "fail", exitCode: 4 });
    expect(run.console).toMatch(/^<LAVA_TEST_RUNNER EXIT>\r?\r?\nbase\r?\r?$/m);
  });

  it("boots the root's own init and collects the results after it has powered off", async () => {
    const run = await guest.boot("dut.rootfs={https}/base.tar.gz dut.init=/init");
    expect(run.verdict, describeRun(run)).toMatchObject({ verdict: "pass", exitCode: 0 });
    expect(run.console).toContain("init is process 1 of a machine of its own");
    expect(run.results.get("from-init")).toBe("collected\n");
  });
});
