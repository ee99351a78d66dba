/** On the DUT there is no source tree: the bundle has to find its worker and its native modules beside itself. */
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { compress } from "zstd-napi";
import { hostArchitecture } from "../../../initrd/architecture.ts";
import { bundleAgent } from "../../../initrd/bundle.ts";
import { PROJECT_ROOT } from "../../../initrd/project.ts";
import { buildTar } from "../../unit/archive/tar-builder.ts";

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "dutboot-bundle-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

it("unpacks in its worker thread", async () => {
  const native = (path: string) => ({
    name: basename(path),
    path: "",
    reused: true,
    file: join(PROJECT_ROOT, path),
  });
  const bundle = await bundleAgent(
    hostArchitecture(),
    {
      sys: native("agent/kernel/sys.node"),
      zstd: native("node_modules/zstd-napi/build/Release/binding.node"),
    },
    {
      version: "0",
      entries: {
        main: "test/integration/root/bundle-probe.ts",
        "unpack-worker": "agent/root/unpack/unpack-worker.ts",
      },
    },
  );
  for (const { path, content } of bundle.files) {
    if (content.kind !== "bytes") throw new Error(`${path} is no file`);
    writeFileSync(join(folder, basename(path)), content.bytes);
  }
  const store = join(folder, "store");
  mkdirSync(store);
  const archive = join(folder, "archive.tar.zst");
  writeFileSync(archive, compress(buildTar([{ path: "a", content: "x".repeat(70_000) }, { path: "b" }])));
  const printed = execFileSync(process.execPath, [join(folder, "main.js"), archive, store], {
    encoding: "utf8",
  });
  expect(JSON.parse(printed)).toEqual({ files: 2, bytes: 70_000 });
});
