/**
 * A test that prints every secret it knows and leaves results as deqp-runner does: no channel shows a secret, and
 * the results are in junit.xml.
 */
import { afterAll, beforeAll, expect, it } from "vitest";
import { createFarmGuest, describeRun, type FarmGuest } from "./farm-guest.ts";

let guest: FarmGuest;
beforeAll(async () => {
  guest = await createFarmGuest();
});
afterAll(() => guest?.stop());

const TOKEN = "glpat-0123456789abcdefghij";
const FROM_FILE = "from-a-file-9876543210";

const TEST = [
  "echo env: $CI_JOB_TOKEN $S3_SECRET; echo -n $CI_JOB_TOKEN | base64; echo -n robot:$CI_JOB_TOKEN | base64",
  "printf glpat-0123; sleep 1; echo 456789abcdefghij; echo of the kernel: $CI_JOB_TOKEN >/dev/kmsg",
  "echo its own: $CI_JOB_TOKEN >/results/own.txt; echo hwci: mesa: fail, exit_code: 1",
  "printf 'a.b.one,Pass,0.1\\na.b.two,Fail,0.2\\na.b.three,Skip\\n' >/results/results.csv; exit 1",
].join("; ");

it("a job's console and results contain no secret", { timeout: 600_000 }, async () => {
  const image = "{registry}/test/busybox@{digest}";
  const run = await guest.boot(
    [
      `dut.image=${image} "dut.run=${TEST}" dut.env=CI_JOB_TOKEN=${TOKEN}`,
      `dut.env=S3_SECRET=${FROM_FILE} dut.timeout=5m dut.end`,
    ].join(" "),
  );
  expect(run.verdict, describeRun(run)).toMatchObject({ verdict: "fail", exitCode: 1 });

  const spellings = [TOKEN, FROM_FILE, guest.farm.s3.secretKey, guest.farm.registry.password].flatMap(
    (secret) => [
      secret,
      Buffer.from(secret)
        .toString("base64")
        .replace(/.?.?=*$/, ""),
    ],
  );
  const ours = [...run.results].filter(([name]) => name !== "own.txt");
  const channels = [...ours, ["the console", run.console], ["the events", JSON.stringify(run.events)]];
  for (const [name, text] of channels)
    for (const secret of spellings) expect(text?.includes(secret), `${secret} in ${name}`).toBe(false);
  expect(run.results.get("own.txt")).toBe(`its own: ${TOKEN}\n`);

  expect(run.results.get("steps/1-main.log")?.split(/\r?\n/)).toEqual([
    "env: [hidden] [hidden]",
    // The last base64 character encodes only a part of one byte.
    expect.stringMatching(/^\[hidden\].{0,3}$/),
    expect.stringMatching(/^cm9ib3Q6\[hidden\].{0,3}$/),
    "[hidden]",
    "hwci: mesa: fail, exit_code: 1",
    "",
  ]);
  expect(run.results.get("kernel.log")).toContain("of the kernel: [hidden]");
  expect(run.results.get("kernel.log")).toContain("dut.env=CI_JOB_TOKEN=[hidden]");
  expect(run.console).toContain("the kernel has printed it on the console already");
  expect(run.console).toMatch(/^hwci: mesa: fail, exit_code: 1\r?$/m);

  expect(run.console).toContain("results: 3 tests: 1 passed, 1 failed, 1 skipped (deqp-runner)");
  expect(run.events).toContainEqual(
    expect.objectContaining({ event: "report", topic: "tests", total: 3, passed: 1, failed: 1, skipped: 1 }),
  );
  expect(run.results.get("junit.xml")).toContain('<testcase classname="a.b" name="a.b.two" time="0.200">');
});
