/**
 * Volumes mirrored with Swift's S3: hooks, live mirrors, what is skipped, and what a bucket full of hostile keys cannot do.
 * The AWS SDK writes what is pulled and reads what was pushed.
 */
import { randomBytes } from "node:crypto";
import {
  appendFileSync,
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { DeleteObjectCommand, HeadObjectCommand } from "@aws-sdk/client-s3";
import { describe, expect, test, vi } from "vitest";
import type { Volume } from "../../../agent/job/volume.ts";
import { createVolumeManager } from "../../../agent/volumes/volume-manager.ts";
import { BUCKET, folder, managers, sdk, signal, startJob, tree } from "./mirrored-job.ts";

describe("hooks", () => {
  test("pushes and pulls files of any name and size", async () => {
    const names = [
      "a.txt",
      "d/e/f",
      "sp ace",
      "plus+",
      "per%20cent",
      "ü€",
      "quote'\"",
      "semi;colon&x=y",
      "line\nfeed",
      "*?[",
      "~",
      "-",
      "a\\b",
      "<xml>&amp;",
      ".hidden",
    ];
    const job = await startJob({ push: ["container_end"] });
    for (const name of names) job.write(name, `content of ${name}`);
    job.write("empty", "");
    const large = randomBytes(9 * 1024 * 1024 + 1);
    job.write("large", large);
    await job.run("container_end");
    expect(await job.list()).toEqual([...names, "empty", "large"].sort());
    expect(await job.get("plus+")).toBe("content of plus+");

    const other = await startJob({
      pull: ["pipeline_start"],
      from: { ...job, volumesDir: `${job.volumesDir}-other` },
    });
    await other.run("pipeline_start");
    expect(tree(other.data)).toEqual(tree(job.data));
    for (const name of names) expect(other.read(name)).toBe(`content of ${name}`);
    expect(readFileSync(join(other.data, "large")).equals(large)).toBe(true);
  });

  test.each([["pipeline_start"], ["container_start"], ["container_end"], ["pipeline_end"]] as const)(
    "only at the hook asked for: %s",
    async (hook) => {
      const job = await startJob({ push: [hook] });
      job.write("file", "x");
      for (const each of ["pipeline_start", "container_start", "container_end", "pipeline_end"] as const) {
        if (each !== hook) await job.run(each);
      }
      await job.manager.finish({ signal });
      expect(await job.list()).toEqual([]);
      const again = await startJob({ push: [hook], from: job });
      await again.run(hook);
      expect(await again.list()).toEqual(["file"]);
    },
  );

  test("without overwrite keeps files that differ, and logs them", async () => {
    const job = await startJob({ pull: ["pipeline_start"], push: ["pipeline_end"] });
    await job.put("there", "old");
    await job.put("both", "theirs");
    job.write("both", "ours!!");
    await job.run("pipeline_start");
    expect([job.read("there"), job.read("both")]).toEqual(["old", "ours!!"]);
    await job.run("pipeline_end");
    expect(await job.get("both")).toBe("theirs");
    job.write("there", "new");
    await job.run("pipeline_end");
    expect(await job.get("there")).toBe("old");
    expect(job.lines.filter((line) => line.includes('"both": it differs'))).toHaveLength(2);
  });

  test("with overwrite replaces files that differ, whatever their sizes and times", async () => {
    const job = await startJob({
      pull: ["container_start"],
      push: ["container_end"],
      options: { overwrite: true },
    });
    for (const key of ["longer", "same", "equal"]) await job.put(key, "1234");
    await job.run("container_start");
    job.write("longer", "12345");
    utimesSync(job.write("same", "abcd"), 1, 1);
    utimesSync(job.write("equal", "1234"), 1, 1);
    await job.run("container_end");
    expect([await job.get("longer"), await job.get("same")]).toEqual(["12345", "abcd"]);
    expect(job.lines.join()).toContain("2 files");
    await job.put("same", "wxyz");
    await job.run("container_start");
    expect(job.read("same")).toBe("wxyz");
    expect(job.lines.at(-1)).toContain("1 files");
  });

  test("remove deletes files that the source lacks, except excluded ones", async () => {
    const job = await startJob({
      pull: ["container_start"],
      push: ["container_end"],
      options: { remove: true, exclude: ["keep/*", "*.tmp"] },
    });
    await job.put("gone", "x");
    await job.put("keep/remote", "x");
    await job.run("container_start");
    rmSync(join(job.data, "gone"));
    job.write("new", "x");
    job.write("keep/local", "x");
    job.write("deep/a.tmp", "x");
    await job.run("container_end");
    expect(await job.list()).toEqual(["keep/remote", "new"]);
    await sdk.send(new DeleteObjectCommand({ Bucket: BUCKET, Key: `${job.prefix}/new` }));
    await job.run("container_start");
    expect(tree(job.data)).toEqual(["deep/a.tmp", "keep/local"]);
  });

  test("preserve keeps mode, owner and times", async () => {
    const job = await startJob({ push: ["container_end"], options: { preserve: true } });
    const path = job.write("tool", "#!/bin/sh\n");
    chmodSync(path, 0o750);
    utimesSync(path, 1_500_000_000, 1_500_000_000.25);
    await job.run("container_end");
    const head = await sdk.send(new HeadObjectCommand({ Bucket: BUCKET, Key: `${job.prefix}/tool` }));
    expect(head.Metadata?.["mc-attrs"]).toMatch(
      /^atime:\d+#\d+\/gid:\d+\/mode:33256\/mtime:1500000000#250000000\/uid:\d+$/,
    );
    const other = await startJob({
      pull: ["pipeline_start"],
      options: { preserve: true },
      from: { ...job, volumesDir: `${job.volumesDir}-other` },
    });
    await other.run("pipeline_start");
    const { mode, mtimeMs } = statSync(join(other.data, "tool"));
    expect([mode & 0o7777, mtimeMs]).toEqual([0o750, 1_500_000_000_250]);
  });

  test("logs symlinks and special files, and does not follow them", async () => {
    const job = await startJob({ push: ["container_end"] });
    const outside = join(folder, "outside");
    mkdirSync(outside, { recursive: true });
    writeFileSync(join(outside, "secret"), "x");
    symlinkSync(join(outside, "secret"), join(job.data, "link"));
    symlinkSync(outside, join(job.data, "directory"));
    writeFileSync(Buffer.concat([Buffer.from(`${job.data}/bad`), Buffer.from([0xff])]), "x");
    const socket = createServer().listen(join(job.data, "s"));
    await new Promise((resolve) => socket.once("listening", resolve));
    job.write("file", "x");
    await job.run("container_end");
    socket.close();
    expect(await job.list()).toEqual(["file"]);
    const skipped = job.lines
      .filter((line) => line.includes("skipped"))
      .map((line) => line.split("skipped ")[1]);
    expect(skipped.sort()).toEqual([
      '"bad\ufffd": its name is not valid Unicode',
      '"directory": it is a symlink',
      '"link": it is a symlink',
      '"s": it is a socket',
    ]);
  });

  test("four hundred small files, listed page after page", async () => {
    const job = await startJob({ push: ["container_end"], pull: ["container_start"] });
    for (let at = 0; at < 400; at++) job.write(`d${at % 7}/f${at}`, String(at));
    await job.run("container_end");
    expect(await job.list()).toHaveLength(400);
    expect(job.lines.at(-1)).toContain("400 files");
    await job.run("container_end");
    await job.run("container_start");
    expect(job.lines).toHaveLength(1);
  });
});

describe("a bucket of hostile keys", () => {
  test("nothing is written outside of the volume", async () => {
    const job = await startJob({ pull: ["pipeline_start"], options: { overwrite: true, remove: true } });
    const server = createHostileBucket([
      "../escaped",
      "../../escaped",
      "/etc/escaped",
      "a/../../escaped",
      "a//b",
      "nul\0byte",
      "..",
      "link/through",
      "file",
      "file/below",
      "dir/",
      ".dutboot-part.0/x",
    ]);
    const outside = join(job.volumesDir, "outside");
    mkdirSync(outside);
    symlinkSync(outside, join(job.data, "link"));
    const lines: string[] = [];
    const manager = createVolumeManager({
      volumesDir: job.volumesDir,
      volumes: [
        {
          name: "v",
          pull: { alias: "x", bucket: "x", prefix: "p", on: ["pipeline_start"] },
          expiration: "never",
          mirrorOptions: { overwrite: true, remove: true, preserve: true, exclude: [] },
          resetsFscryptKey: false,
        },
      ],
      fileSystems: [],
      openBucket: () => server,
      mountFileSystem: () => {},
      log: { info: (line) => lines.push(line), warn: (line) => lines.push(line) },
    });
    await manager.prepare({ signal });
    await expect(manager.runHooks("pipeline_start", { signal })).rejects.toMatchObject({
      code: "VOLUME_MIRROR_FAILED",
      message: expect.stringContaining("link/through"),
    });
    await manager.finish({ signal });
    expect(readdirSync(job.data).sort()).toEqual(["dir", "file", "link"]);
    expect(readdirSync(outside)).toEqual([]);
    expect(readdirSync(job.volumesDir).sort()).toEqual(["outside", "v"]);
    expect(existsSync("/etc/escaped")).toBe(false);
    expect(lines.filter((line) => line.includes("skipped"))).toHaveLength(9);
    // The owner that the object names is not there for the set-id bit to survive by accident.
    expect(statSync(join(job.data, "file")).mode & 0o777).toBe(0o600);
  });
});

/** No S3 service of ours lists such keys: this one would. */
function createHostileBucket(keys: string[]) {
  return {
    async *list() {
      for (const key of keys)
        yield { key: `p/${key}`, sizeBytes: key.endsWith("/") ? 0 : 4, modifiedMs: Date.now() };
      yield { key: "elsewhere", sizeBytes: 4 };
      yield { key: "p/", sizeBytes: 0 };
    },
    get: async () => ({
      body: (async function* () {
        yield Buffer.from("evil");
      })(),
      metadata: { "mc-attrs": "mode:33152/mtime:99999999999999" },
    }),
    put: async () => ({}),
    delete: async () => {},
  };
}

describe("changes", () => {
  const eventually = (run: () => unknown) => vi.waitFor(run, { timeout: 20_000, interval: 100 });

  test("are pushed while they happen, new directories, renames and growing files too", async () => {
    const job = await startJob({ push: ["changes"], options: { remove: true } });
    job.write("before", "x");
    await job.run("pipeline_start");
    await eventually(async () => expect(await job.list()).toEqual(["before"]));
    job.write("new/deep/file", "1");
    await eventually(async () => expect(await job.list()).toEqual(["before", "new/deep/file"]));
    // No overwrite: what this boot pushed itself follows its file all the same.
    appendFileSync(join(job.data, "new/deep/file"), "2");
    await eventually(async () => expect(await job.get("new/deep/file")).toBe("12"));
    renameSync(join(job.data, "new/deep"), join(job.data, "moved"));
    await eventually(async () => expect(await job.list()).toEqual(["before", "moved/file"]));
    rmSync(join(job.data, "before"));
    await eventually(async () => expect(await job.list()).toEqual(["moved/file"]));
    job.write("last", "words");
    await job.manager.finish({ signal });
    expect(await job.list()).toEqual(["last", "moved/file"]);
  });

  test("uploads a file that keeps changing at intervals", async () => {
    const job = await startJob({ push: ["changes"] });
    await job.run("pipeline_start");
    const path = job.write("log", "");
    const writing = setInterval(() => appendFileSync(path, "line\n"), 10);
    try {
      await eventually(async () => expect((await job.get("log")).length).toBeGreaterThan(0));
    } finally {
      clearInterval(writing);
    }
    await job.manager.finish({ signal });
    expect(await job.get("log")).toBe(readFileSync(path, "utf8"));
  });

  test("are pulled while they happen, and nothing is transferred back", async () => {
    const job = await startJob({
      pull: ["changes"],
      push: ["changes"],
      options: { overwrite: true, remove: true },
    });
    await job.put("first", "1");
    await job.run("pipeline_start");
    expect(job.read("first")).toBe("1");
    await job.put("second", "2");
    await eventually(() => expect(job.read("second")).toBe("2"));
    await job.put("second", "22");
    await eventually(() => expect(job.read("second")).toBe("22"));
    job.write("ours", "3");
    await eventually(async () => expect(await job.list()).toEqual(["first", "ours", "second"]));
    // When this file arrives, a complete pull has followed the push.
    await job.put("third", "4");
    await eventually(() => expect(job.read("third")).toBe("4"));
    await job.manager.finish({ signal });
    expect(tree(job.data)).toEqual(["first", "ours", "second", "third"]);
    expect(await job.list()).toEqual(["first", "ours", "second", "third"]);
    // first, second, second again, third; ours.
    expect(job.lines.filter((line) => line.includes("files,"))).toHaveLength(5);
  });

  test("an unreachable service is logged and retried, and the end reports the failure", async () => {
    const job = await startJob({ push: ["changes"], alias: "away" });
    job.write("file", "x");
    await job.run("pipeline_start");
    await eventually(() =>
      expect(job.lines.filter((line) => line.includes("tries again")).length).toBeGreaterThan(1),
    );
    await expect(job.manager.finish({ signal })).rejects.toMatchObject({
      code: expect.stringMatching(/^(S3|HTTP|FETCH|NET)_/),
    });
  });
});

test.each([
  {
    name: "wrong keys",
    job: { alias: "wrong", push: ["pipeline_end"] as const },
    code: "S3_BAD_CREDENTIALS",
  },
  {
    name: "no bucket",
    job: { fields: { push: { alias: "farm", bucket: "none", prefix: "", on: ["pipeline_end" as const] } } },
    code: "S3_NO_BUCKET",
  },
])(
  "a push with $name fails its hook with $code",
  async ({
    job: { push, ...rest },
    code,
  }: {
    job: { alias?: string; push?: readonly "pipeline_end"[]; fields?: Partial<Volume> };
    code: string;
  }) => {
    const job = await startJob({ ...rest, push: [...(push ?? [])] });
    job.write("file", "x");
    await expect(job.run("pipeline_end")).rejects.toMatchObject({ code });
  },
);

test.each([
  { name: "an unknown alias", fields: {}, alias: "nobody", code: "VOLUME_NO_ALIAS" },
  {
    name: "a bad key",
    fields: {
      mirrorOptions: { overwrite: false, remove: false, preserve: false, exclude: [], encryptKey: "short" },
    },
    alias: "farm",
    code: "VOLUME_BAD_KEY",
  },
  {
    name: "an unknown file system",
    fields: { fileSystem: "none" },
    alias: "farm",
    code: "VOLUME_NO_FILE_SYSTEM",
  },
  { name: "a hostile name", fields: { name: "../x" }, alias: "farm", code: "VOLUME_BAD_NAME" },
])("preparing ends with $code for $name", async ({ fields, alias, code }) => {
  await expect(startJob({ push: ["pipeline_end"], alias, fields })).rejects.toMatchObject({ code });
});

describe("expiration", () => {
  test("is at the end, or at the next start when the end was not reached", async () => {
    const first = await startJob({ fields: { expiration: "pipeline_end" } });
    first.write("file", "x");
    await first.manager.finish({ signal });
    expect(readdirSync(first.volumesDir)).toEqual([]);

    const crashed = await startJob({ fields: { expiration: "pipeline_end" }, from: first });
    crashed.write("file", "x");
    managers.length = 0;
    const next = await startJob({ fields: { name: "w" }, from: first });
    expect(readdirSync(first.volumesDir).sort()).toEqual(["v", "w"]);
    expect(readdirSync(next.data)).toEqual([]);
    expect(next.lines).toEqual(['volume "v": removed, it had expired']);
  });

  test("is not for plain volumes, but for those without a name", async () => {
    const job = await startJob({});
    const { mounts } = job.manager.resolveMounts([
      { kind: "volume", source: "plain", target: "/p", options: [] },
      { kind: "volume", target: "/a", options: [] },
    ]);
    for (const { from } of mounts) writeFileSync(join(from, "file"), "x");
    await job.manager.finish({ signal });
    expect(readdirSync(job.volumesDir).sort()).toEqual(["plain", "v"]);
  });
});
