/**
 * The fetch phase pulls layers in parts from a real registry: those of skopeo 1.18, ours, and of the older kind that
 * Debian 12's tools write; the mounted root holds the new version, for no more bytes than skopeo itself needs.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pino from "pino";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { createHttpClient } from "../../../agent/net/http/http-client.ts";
import { RegistryClient } from "../../../agent/net/registry/registry.ts";
import { parseImageReference } from "../../../agent/oci/reference.ts";
import { fetchImage } from "../../../agent/phases/fetch.ts";
import { startProgress } from "../../../agent/report/log/progress.ts";
import { createComposefsDriver } from "../../../agent/root/drivers/composefs.ts";
import type { RootDriver } from "../../../agent/root/root-driver.ts";
import { createUnpackPool } from "../../../agent/root/unpack/pool.ts";
import { openObjectStore } from "../../../agent/store/object-store.ts";
import { openStoreLayout } from "../../../agent/store/store-layout.ts";
import type { ServerProcess } from "../../../qemu/farm/server-process.ts";
import { ensureToolsRoot, type ToolsRoot } from "../../../qemu/tools-root.ts";
import { packOld, packTar, sha256 } from "../../integration/chunked/pack.ts";
import { createScratch, type Scratch } from "../root/scratch.ts";
import { makeTar, startRegistry, writeLayout } from "./registry-images.ts";

const directory = mkdtempSync(join(tmpdir(), "partial-pull-"));
const pool = createUnpackPool();
const http = createHttpClient({ insecureHosts: ["127.0.0.1"], log: { warn() {} } });
let tools: ToolsRoot;
let registry: (ServerProcess & { port: number }) | undefined;
let scratch: Scratch;
let lines: string[] = [];
let stores = 0;

beforeAll(async () => {
  tools = await ensureToolsRoot({ log: () => {} });
  registry = await startRegistry(tools, directory);
  scratch = createScratch();
}, 600_000);
afterAll(async () => {
  scratch.close();
  await http.close();
  await registry?.stop();
  rmSync(directory, { recursive: true });
});
beforeEach(() => {
  lines = [];
});

const log = { info: (line: string) => lines.push(line), warn: (line: string) => lines.push(line) };

async function createDriver(): Promise<RootDriver> {
  const path = join(scratch.path, `objects${stores++}`);
  mkdirSync(path);
  const store = await openObjectStore(openStoreLayout(path).layout);
  return createComposefsDriver({ store, pool, log });
}

async function pull(driver: RootDriver, name: string) {
  const client = new RegistryClient(http, { auth: () => undefined });
  return fetchImage(
    parseImageReference(`127.0.0.1:${registry!.port}/${name}:t`),
    { log: pino({ level: "silent" }), signal: new AbortController().signal },
    {
      registry: client,
      rootDriver: driver,
      emit: () => {},
      startProgress,
      platform: { os: "linux", architecture: "amd64" },
      readFreeBytes: () => Number.POSITIVE_INFINITY,
    },
  );
}

/** What the registry sent of a repository's blobs, by its own log. */
function sentBytes(name: string, agent: string): number {
  const answers = readFileSync(join(directory, "registry.log"), "utf8").matchAll(
    new RegExp(`GET /v2/${name}/blobs/\\S+ HTTP/1\\.1" 206 (\\d+) "[^"]*" "${agent}`, "g"),
  );
  return [...answers].reduce((sum, [, size]) => sum + Number(size), 0);
}

const skopeo = (...words: string[]) => tools.run("skopeo", ["--insecure-policy", "copy", ...words]);

/** The tree is made once a version. */
const tars = new Map<string, Buffer>();
function tarOf(version: string): Buffer {
  const tar = tars.get(version) ?? makeTar(directory, version);
  tars.set(version, tar);
  return tar;
}

/** Pushes both versions under names of their own. */
const PUSHERS: Record<string, (version: string, name: string) => Promise<void>> = {
  "skopeo 1.18 wrote": async (version, name) => {
    const tar = tarOf(version);
    const layout = writeLayout(directory, name, tar, sha256(tar), "layer.v1.tar");
    const to = `docker://127.0.0.1:${registry!.port}/${name}:t`;
    await skopeo("--dest-compress-format=zstd:chunked", "--dest-tls-verify=false", `oci:${layout}:t`, to);
  },
  "our packer wrote": async (version, name) => pushAsIs(name, await packTar(tarOf(version))),
  "Debian 12's tools would write": async (version, name) => pushAsIs(name, await packOld(tarOf(version))),
};

async function pushAsIs(name: string, { blob, diffId, annotations }: Awaited<ReturnType<typeof packTar>>) {
  const layout = writeLayout(directory, name, blob, diffId, "layer.v1.tar+zstd", annotations);
  const to = `docker://127.0.0.1:${registry!.port}/${name}:t`;
  await skopeo("--dest-tls-verify=false", `oci:${layout}:t`, to);
}

describe("layers that", () => {
  test.each(Object.entries(PUSHERS))("%s are pulled partially and mounted", async (writer, push) => {
    const name = (version: string) => `${writer.replaceAll(/\W/g, "")}-${version}`.toLowerCase();
    await push("one", name("one"));
    await push("two", name("two"));
    const driver = await createDriver();
    await pull(driver, name("one"));
    const { layers } = await pull(driver, name("two"));
    expect(lines).toEqual([
      expect.stringMatching(/full download: the store is empty/),
      expect.stringMatching(/3 of 102 files missing, 0\.\d of 1\.\d MB/),
    ]);
    const root = await driver.mount(layers, scratch.newRootOptions());
    for (const path of ["d/file-0", "d/file-2", "d/file-50", "holes", "hard", "ünï", "soft", "empty"]) {
      expect(readFileSync(join(root.path, path))).toEqual(readFileSync(join(directory, "tree-two", path)));
    }
    await root.unmount();
  });
});

test("fetches no more bytes for an update than skopeo with partial pulls", async () => {
  const storage = join(directory, "storage.conf");
  writeFileSync(
    storage,
    `[storage]\ndriver = "overlay"\ngraphroot = "${directory}/graph"\nrunroot = "${directory}/run"\n` +
      '[storage.options]\npull_options = {enable_partial_images = "true"}\n',
  );
  const driver = await createDriver();
  for (const version of ["three", "four"]) {
    await PUSHERS["skopeo 1.18 wrote"]!(version, version);
    const from = `docker://127.0.0.1:${registry!.port}/${version}:t`;
    await tools.run(
      "skopeo",
      ["--insecure-policy", "copy", "--src-tls-verify=false", from, `containers-storage:${version}:t`],
      { env: { ...process.env, CONTAINERS_STORAGE_CONF: storage } },
    );
    await pull(driver, version);
  }
  const ours = sentBytes("four", "dutboot");
  expect(ours).toBeGreaterThan(0);
  expect(ours).toBeLessThanOrEqual(sentBytes("four", "skopeo"));
});
