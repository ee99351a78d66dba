/**
 * The results of a test that uses the agent's file names in /results, deletes the agent's log, leaves unusual files, and
 * runs long enough for a sync.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, it } from "vitest";
import { createFarmGuest, describeRun, type FarmGuest } from "./farm-guest.ts";
import { expectTrueManifest } from "./uploaded-manifest.ts";

let guest: FarmGuest;
beforeAll(async () => {
  guest = await createFarmGuest();
});
afterAll(() => guest?.stop());

/** An object that lets the test continue. */
const SIGN = "early-is-there";

const TEST = [
  "cd /results; echo early >early; echo forged >verdict.json; mkdir job.json; echo own >job.json/own",
  "rm dutboot.log; echo forged >dutboot.log; ln -s /etc/passwd link; mkfifo fifo",
  "yes | head -c 9000000 >large; echo to the log; echo warning >/dev/kmsg",
  `until wget -q -O /dev/null {http}/${SIGN} 2>/dev/null; do sleep 1; done; rm early; exit 4`,
].join("; ");

/** Lets the test continue when its first file is uploaded, and the record that follows the files. */
async function awaitEarly(signal: AbortSignal): Promise<void> {
  const { farm, facts } = guest;
  while (!signal.aborted) {
    const keys = await farm.s3.listObjects(facts.resultsBucket, "");
    if (["/early", "/partial.json"].every((name) => keys.some((key) => key.endsWith(name)))) break;
    await sleep(500);
  }
  writeFileSync(join(farm.http.root, SIGN), "yes");
}

it.concurrent("results are uploaded completely, under the right names, and some of them during the test", {
  timeout: 300_000,
}, async () => {
  const image = "{registry}/test/busybox@{digest}";
  const ended = new AbortController();
  const waiting = awaitEarly(ended.signal);
  const run = await guest.boot(
    [
      `dut.image=${image} "dut.run=${TEST}"`,
      `dut.service="${image} sh -c 'echo serving'"`,
      `dut.post="${image} echo afterwards"`,
      "dut.sync=1s dut.timeout=5m dut.end",
    ].join(" "),
  );
  ended.abort();
  await waiting;
  expect(run.verdict, describeRun(run)).toMatchObject({ verdict: "fail", exitCode: 4 });
  const manifest = expectTrueManifest(run);
  const names = [...run.results.keys()];
  expect(names).toEqual(
    expect.arrayContaining(["job.json.of-the-test/own", "verdict.json.of-the-test", "large"]),
  );
  expect(manifest.leftOut).toEqual(["fifo", "link"]);
  // It was uploaded before the test deleted it.
  expect(manifest.removed.map(({ name }) => name)).toEqual(["early"]);
  expect(run.results.get("early")).toBe("early\n");
  expect(JSON.parse(run.results.get("partial.json") ?? "{}")).toMatchObject({
    bootId: manifest.bootId,
    complete: true,
  });
  expect(run.results.get("dutboot.log.of-the-test")).toBe("forged\n");
  expect(run.results.get("dutboot.log")).toMatch(new RegExp(`boot ${manifest.bootId}$`, "m"));
  expect(run.results.get("dutboot.log")).toMatch(/^to the log\r?$/m);
  expect(run.results.get("kernel.log")).toMatch(/^\[ *\d+\.\d+\] warning$/m);
  const steps = names
    .filter((name) => name.startsWith("steps/"))
    .map((name) => [name, run.results.get(name)?.trim()]);
  expect(Object.fromEntries(steps)).toEqual({
    "steps/1-service.log": "serving",
    "steps/2-main.log": "to the log",
    "steps/3-post.log": "afterwards",
  });
  expect(run.console).toMatch(/upload: (\d+) of \1 files, 9\.\d MB to s3:/);
});

it.concurrent("results say why a job could not start", { timeout: 300_000 }, async () => {
  const run = await guest.boot("dut.cache=/dev/no-such-disk dut.timeout=5m dut.end");
  expect(run.verdict, describeRun(run)).toMatchObject({
    verdict: "error",
    error: { code: "STORE_NO_DEVICE" },
  });
  expectTrueManifest(run);
  expect(run.results.get("dutboot.log")).toContain("/dev/no-such-disk");
  expect(JSON.parse(run.results.get("verdict.json") ?? "{}")).toMatchObject({
    error: { code: "STORE_NO_DEVICE", phase: "machine" },
  });
});
