/**
 * Whatever a job mirrors and whichever request fails, the bucket keeps what it had: an object goes only where the test, which had it in its
 * volume, deleted it, and is replaced only by what the test made of it. A real S3 service behind a proxy that refuses requests.
 */
import { existsSync, rmSync } from "node:fs";
import { join } from "node:path";
import { ListObjectsV2Command, PutObjectCommand } from "@aws-sdk/client-s3";
import { describe, expect, test } from "vitest";
import type { MirrorCondition } from "../../../agent/job/volume.ts";
import { createRandom } from "../../unit/composefs/random-tree.ts";
import { BUCKET, proxy, sdk, signal, startJob } from "./mirrored-job.ts";

const SEED = Number(process.env.DUTBOOT_SEED ?? 1);
const FAILURES_PER_CASE = 2;
const BEFORE = { changed: "old", deleted: "old", "d/left": "old" };

const pulls: MirrorCondition[][] = [[], ["pipeline_start"], ["container_start"], ["container_end"]];
const pushes: MirrorCondition[][] = [
  ["pipeline_start"],
  ["container_start"],
  ["container_end"],
  ["pipeline_end"],
];
const options = [
  { overwrite: false, remove: true },
  { overwrite: true, remove: false },
  { overwrite: true, remove: true },
];
const cases = pulls.flatMap((pull) =>
  pushes.flatMap((push) => options.map((flags) => ({ pull, push, ...flags }))),
);
type Case = (typeof cases)[number];

/** A job of one container, as the phases run it: a failed start leaves the container out, the ends are always reached. */
async function runJob({ pull, push, overwrite, remove }: Case) {
  const job = await startJob({ pull, push, alias: "proxied", options: { overwrite, remove }, isUsed: false });
  for (const [key, content] of Object.entries(BEFORE)) await job.put(key, content);
  const attempt = (hook: MirrorCondition) =>
    job.run(hook as "pipeline_start").then(
      () => true,
      () => false,
    );
  const has = (key: string) => existsSync(join(job.data, key));
  let had: string[] = [];
  const hasStarted = (await attempt("pipeline_start")) && (await attempt("container_start"));
  if (hasStarted) {
    job.use();
    had = Object.keys(BEFORE).filter(has);
    rmSync(join(job.data, "deleted"), { force: true });
    job.write("changed", "new");
    job.write("added", "new");
    await attempt("container_end");
  }
  await attempt("pipeline_end");
  await job.manager.finish({ signal }).catch(() => {});
  const after: Record<string, string> = {};
  for (const key of await job.list()) after[key] = await job.get(key);
  return { had, hasStarted, after, lines: job.lines };
}

describe("a bucket loses nothing that was not replaced", () => {
  test.each(cases)("pull $pull, push $push, overwrite $overwrite, remove $remove", async (each) => {
    const random = createRandom(SEED);
    let count = 0;
    for (let run = 0; run <= FAILURES_PER_CASE; run++) {
      // The first run has no failure and counts the requests.
      const first = 1 + random(count || 1);
      const isOutage = random(2) === 1;
      proxy().reset((number) => run > 0 && (isOutage ? number >= first : number === first));
      const { had, hasStarted, after, lines } = await runJob(each);
      if (run === 0) count = proxy().requests;
      const note = `seed ${SEED}, run ${run}, request ${first}${isOutage ? " and all later" : ""}:\n${lines.join("\n")}`;
      const isMirrorOnly = each.pull.every((on) => on.endsWith("_end"));
      for (const key of Object.keys(BEFORE)) {
        const mayGo = each.remove && (had.includes(key) ? key === "deleted" : isMirrorOnly && hasStarted);
        const mayChange =
          key === "changed" && each.overwrite && (had.includes(key) || (isMirrorOnly && hasStarted));
        const allowed = ["old", ...(mayChange ? ["new"] : []), ...(mayGo ? [undefined] : [])];
        expect(allowed, `"${key}": ${note}`).toContain(after[key]);
      }
    }
  });
});

describe("a push with remove keeps the bucket", () => {
  const push: MirrorCondition[] = ["pipeline_end"];

  test("when the only container could not start", async () => {
    const job = await startJob({ push, options: { remove: true }, isUsed: false });
    await job.put("left", "old");
    job.use({ runs: false });
    // As when content of the image was copied into the volume.
    job.write("of-the-image", "x");
    await job.run("pipeline_end");
    expect(await job.list()).toEqual(["left", "of-the-image"]);
    expect(job.lines.join()).toContain("no container has used it");
  });

  test("when an earlier boot created the volume and ran nothing", async () => {
    const first = await startJob({ push, options: { remove: true }, isUsed: false });
    await first.put("left", "old");
    await first.run("pipeline_end");
    const second = await startJob({ push, options: { remove: true }, isUsed: false, from: first });
    await second.run("pipeline_end");
    expect(await second.list()).toEqual(["left"]);
  });

  test("when a pull from elsewhere had to skip an object", async () => {
    const other = await startJob({});
    const job = await startJob({
      options: { remove: true },
      fields: {
        pull: { alias: "farm", bucket: BUCKET, prefix: other.prefix, on: ["pipeline_start"] },
        push: { alias: "farm", bucket: BUCKET, prefix: "elsewhere", on: push },
      },
    });
    for (const key of ["a", "a/b"]) await other.put(key, "x");
    await sdk.send(new PutObjectCommand({ Bucket: BUCKET, Key: "elsewhere/a/b", Body: "copy" }));
    await job.run("pipeline_start");
    await job.run("pipeline_end");
    const kept = await sdk.send(new ListObjectsV2Command({ Bucket: BUCKET, Prefix: "elsewhere/" }));
    expect(kept.Contents?.map(({ Key }) => Key)).toContain("elsewhere/a/b");
  });

  test("but removes what the test removed", async () => {
    const job = await startJob({ push, options: { remove: true }, isUsed: false });
    await job.put("left", "old");
    job.use();
    await job.run("pipeline_end");
    expect(await job.list()).toEqual([]);
  });
});
