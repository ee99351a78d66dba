/**
 * A job in a job file: its image from a mirror, its artifact from S3, and a post step.
 */
import { createHash } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { buildTar } from "../../unit/archive/tar-builder.ts";
import { createFarmGuest, describeRun, type FarmGuest } from "../agent/farm-guest.ts";

const BUCKET = "artifacts";

let guest: FarmGuest;
let jobSha256: string;

beforeAll(async () => {
  guest = await createFarmGuest();
  const { s3, registry, http } = guest.farm;
  await s3.createBucket(BUCKET);
  await s3.putObject(
    BUCKET,
    "build/install.tar",
    buildTar([{ path: "install/marker", content: "from S3\n" }]),
  );
  const job = `# Nobody can type this on a command line.
mirror: [docker.io=https://${registry.guestAddress}]
image: docker.io/test/busybox:1
artifact:
  - s3://${BUCKET}/build/install.tar
env:
  - GREETING=two words
run: |
  cat /install/marker
  echo "$GREETING"
  exit 5
post:
  - docker.io/test/busybox:1 echo afterwards
timeout: 5m
`;
  jobSha256 = createHash("sha256").update(job).digest("hex");
  writeFileSync(join(http.root, "job.yaml"), job);
  await s3.putObject(BUCKET, "job.yaml", Buffer.from("image: test.invalid/never:1\ntimeout: 1s\n"));
});
afterAll(() => guest?.stop());

describe.concurrent("a job file", { timeout: 600_000 }, () => {
  it("contains a complete job, with a mirror, an artifact from S3 and a post step", async () => {
    const run = await guest.boot(`dut.job={http}/job.yaml,sha256=${jobSha256} dut.timeout=10m`);
    expect(run.verdict, describeRun(run)).toMatchObject({ verdict: "fail", exitCode: 5 });
    expect(run.console).toMatch(/dut\.timeout: the command line overrides the job file/);
    expect(run.console).toMatch(/^from S3\r?\ntwo words\r?$/m);
    expect(run.console).toMatch(/^afterwards\r?$/m);
    expect(run.results.get("verdict.json")).toContain('"fail"');
  });

  it("can come from S3, and its time limit applies to the job", async () => {
    const run = await guest.boot(`dut.job=s3://${BUCKET}/job.yaml`);
    expect(run.verdict, describeRun(run)).toMatchObject({ verdict: "error", error: { code: "JOB_TIMEOUT" } });
  });
});
