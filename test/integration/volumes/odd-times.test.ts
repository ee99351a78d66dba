/**
 * Mirrors while things happen at the worst moment: between two steps of a transfer, which no real service lets a test hit.
 * The bucket is a map in memory that runs the test's code in the middle of its calls.
 */
import { createHash } from "node:crypto";
import {
  appendFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { AgentError } from "../../../agent/errors.ts";
import type { Volume } from "../../../agent/job/volume.ts";
import type { ObjectBucket } from "../../../agent/volumes/object-bucket.ts";
import { createVolumeManager } from "../../../agent/volumes/volume-manager.ts";

const signal = new AbortController().signal;
let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "dutboot-odd-times-"));
});

afterEach(() => rmSync(folder, { recursive: true }));

const md5 = (text: string) => createHash("md5").update(text).digest("hex");

class MemoryBucket implements ObjectBucket {
  objects = new Map<string, string>();
  inPut = (_key: string): void => {};
  inGet = (_key: string): void => {};
  puts: string[] = [];

  async *list(prefix: string) {
    for (const [key, text] of this.objects)
      if (key.startsWith(prefix)) yield { key, sizeBytes: text.length, etag: md5(text), modifiedMs: 1 };
  }

  async get(key: string) {
    this.inGet(key);
    const text = this.objects.get(key)!;
    const body = async function* () {
      yield Buffer.from(text);
    };
    return { body: body(), metadata: {} };
  }

  async put(key: string, { path, sizeBytes }: { path: string; sizeBytes: number }) {
    const bytes = readFileSync(path);
    this.inPut(key);
    if (bytes.length < sizeBytes)
      throw new AgentError("S3_FILE_CHANGED", "Cannot upload: the file is shorter");
    const text = bytes.subarray(0, sizeBytes).toString();
    this.puts.push(`${key}=${text}`);
    this.objects.set(key, text);
    return { etag: md5(text) };
  }

  async delete(key: string) {
    this.objects.delete(key);
  }
}

async function start(fields: Partial<Volume>, buckets: Record<string, ObjectBucket>) {
  const lines: string[] = [];
  const log = (line: string) => {
    lines.push(line);
  };
  const manager = createVolumeManager({
    volumesDir: folder,
    volumes: [
      {
        name: "v",
        expiration: "never",
        mirrorOptions: { overwrite: false, remove: false, preserve: false, exclude: [] },
        resetsFscryptKey: false,
        ...fields,
      },
    ],
    fileSystems: [],
    openBucket: ({ bucket }) => buckets[bucket]!,
    mountFileSystem: () => {},
    liveLimits: { settleMs: 20, pollMs: 50, retryFirstMs: 20, retryMostMs: 40 },
    log: { info: log, warn: log },
  });
  await manager.prepare({ signal });
  return { manager, data: join(folder, "v/data"), lines };
}

const at = (bucket: string, ...on: NonNullable<Volume["pull"]>["on"]) => ({
  alias: "a",
  bucket,
  prefix: "",
  on,
});

test("uploads a file again if it grows during its upload", async () => {
  const b = new MemoryBucket();
  const { manager, data } = await start({ push: at("b", "container_end") }, { b });
  writeFileSync(join(data, "log"), "1");
  b.inPut = () => {
    if (b.puts.length === 0) appendFileSync(join(data, "log"), "2");
  };
  await manager.runHooks("container_end", { signal });
  expect(b.puts).toEqual(["log=1", "log=12"]);
});

test("a file that never stops changing is logged", async () => {
  const b = new MemoryBucket();
  const { manager, data, lines } = await start({ push: at("b", "container_end") }, { b });
  writeFileSync(join(data, "log"), "");
  b.inPut = () => appendFileSync(join(data, "log"), ".");
  await manager.runHooks("container_end", { signal });
  expect(b.puts).toHaveLength(3);
  expect(lines.join()).toContain("keeps changing");
});

test("does not fail if a file is deleted before its upload", async () => {
  const b = new MemoryBucket();
  const { manager, data } = await start(
    {
      push: at("b", "container_end"),
      mirrorOptions: { overwrite: true, remove: true, preserve: false, exclude: [] },
    },
    { b },
  );
  for (const name of "abcdefghijkl") writeFileSync(join(data, name), "x");
  b.inPut = () => {
    for (const name of "klj") rmSync(join(data, name), { force: true });
  };
  await manager.runHooks("container_end", { signal });
  b.inPut = () => {};
  await manager.runHooks("container_end", { signal });
  expect([...b.objects.keys()].sort()).toEqual([..."abcdefghi"]);
});

test("does not follow a directory that becomes a symlink during a pull", async () => {
  const b = new MemoryBucket();
  b.objects.set("d/file", "evil");
  const { manager, data } = await start({ pull: at("b", "pipeline_start") }, { b });
  const outside = join(folder, "outside");
  mkdirSync(outside);
  mkdirSync(join(data, "d"));
  b.inGet = () => {
    rmSync(join(data, "d"), { recursive: true });
    symlinkSync(outside, join(data, "d"));
  };
  await expect(manager.runHooks("pipeline_start", { signal })).rejects.toMatchObject({
    code: "VOLUME_MIRROR_FAILED",
  });
  expect(readdirSync(outside)).toEqual([]);
});

test("keeps a file that a test creates during a pull", async () => {
  const b = new MemoryBucket();
  b.objects.set("file", "theirs");
  const { manager, data, lines } = await start({ pull: at("b", "container_start") }, { b });
  b.inGet = () => writeFileSync(join(data, "file"), "ours");
  await manager.runHooks("container_start", { signal });
  expect(readFileSync(join(data, "file"), "utf8")).toBe("ours");
  expect(readdirSync(data)).toEqual(["file"]);
  expect(lines.join()).toContain("new on both sides");
});

test("incomplete files of an interrupted boot are deleted by the next pull and never pushed", async () => {
  const b = new MemoryBucket();
  const { manager, data } = await start(
    { pull: at("b", "container_start"), push: at("b", "container_end") },
    { b },
  );
  mkdirSync(join(data, "d"));
  writeFileSync(join(data, "d/.dutboot-part.0123"), "half");
  await manager.runHooks("container_end", { signal });
  expect([...b.objects]).toEqual([]);
  await manager.runHooks("container_start", { signal });
  expect(readdirSync(join(data, "d"))).toEqual([]);
});

test("files pulled from one location are pushed to another", async () => {
  const [from, to] = [new MemoryBucket(), new MemoryBucket()];
  from.objects.set("file", "x");
  to.objects.set("file", "y");
  const { manager } = await start(
    {
      pull: at("from", "pipeline_start"),
      push: at("to", "pipeline_end"),
      mirrorOptions: { overwrite: true, remove: false, preserve: false, exclude: [] },
    },
    { from, to },
  );
  await manager.runHooks("pipeline_start", { signal });
  await manager.runHooks("pipeline_end", { signal });
  expect(to.puts).toEqual(["file=x"]);
});

test("an interrupted upload may be replaced by the next run", async () => {
  const b = new MemoryBucket();
  const { manager, data } = await start({ push: at("b", "container_end") }, { b });
  writeFileSync(join(data, "log"), "first");
  b.inPut = () => {
    b.objects.set("log", "first");
    throw new AgentError("FETCH_INTERRUPTED", "Cannot upload: the connection was lost");
  };
  await expect(manager.runHooks("container_end", { signal })).rejects.toThrow("connection was lost");
  b.inPut = () => {};
  writeFileSync(join(data, "log"), "second");
  await manager.runHooks("container_end", { signal });
  expect(b.puts).toEqual(["log=second"]);
  expect(b.objects.get("log")).toBe("second");
});

test("continues a live push when the service is available again", async () => {
  const b = new MemoryBucket();
  const { manager, data, lines } = await start({ push: at("b", "changes") }, { b });
  b.inPut = () => {
    throw new AgentError("FETCH_UNREACHABLE", "Cannot upload: no answer");
  };
  writeFileSync(join(data, "file"), "x");
  await manager.runHooks("pipeline_start", { signal });
  await vi.waitFor(() =>
    expect(lines.filter((line) => line.includes("tries again")).length).toBeGreaterThan(2),
  );
  b.inPut = () => {};
  await vi.waitFor(() => expect(b.puts).toEqual(["file=x"]));
  await vi.waitFor(() => expect(lines.at(-1)).toContain("continues"));
  await manager.finish({ signal });
});

test("an interrupted listing removes nothing", async () => {
  const b = new MemoryBucket();
  b.objects.set("first", "1");
  const { manager, data } = await start(
    {
      pull: at("b", "pipeline_start"),
      mirrorOptions: { overwrite: true, remove: true, preserve: false, exclude: [] },
    },
    { b },
  );
  writeFileSync(join(data, "ours"), "x");
  const list = b.list.bind(b);
  b.list = async function* (prefix: string) {
    yield* list(prefix);
    throw new AgentError("S3_SERVER_ERROR", "Cannot list: it broke off");
  };
  await expect(manager.runHooks("pipeline_start", { signal })).rejects.toMatchObject({
    code: "S3_SERVER_ERROR",
  });
  expect(readdirSync(data)).toEqual(["ours"]);
});
