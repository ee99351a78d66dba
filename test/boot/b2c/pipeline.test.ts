/**
 * A job of a CI-Tron farm with only boot2container's options: the console lines that its executors look for, and the
 * content of containers, volumes and the S3 service afterwards.
 */
import { writeFileSync } from "node:fs";
import { mkdtemp, readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { buildTar } from "../../unit/archive/tar-builder.ts";
import { createFarmGuest, describeRun, type FarmGuest } from "../agent/farm-guest.ts";

const BUCKET = "job-42";
const INSTALL = buildTar([{ path: "install/run.sh", mode: 0o755, content: "echo the artifact runs\n" }]);

let guest: FarmGuest;

beforeAll(async () => {
  guest = await createFarmGuest();
  await guest.farm.s3.createBucket(BUCKET);
  await guest.farm.s3.putObject(BUCKET, "install.tar", INSTALL);
});
afterAll(() => guest?.stop());

/** Served as the farm does it, because the command line must not contain the secret key. */
function publishArguments(name: string, lines: readonly string[]): string {
  writeFileSync(join(guest.farm.http.root, name), `${lines.join("\n")}\n`);
  return `b2c.extra_args_url={http}/${name}`;
}

async function readVolume(prefix = ""): Promise<(name: string) => Promise<string>> {
  const folder = await mkdtemp(join(guest.folder, "volume-"));
  await guest.farm.s3.downloadObjects(BUCKET, prefix, folder);
  return (name) => readFile(join(folder, name), "utf8");
}

describe.concurrent("a boot2container job", { timeout: 600_000 }, () => {
  it("runs check, test and post containers with a service, and mirrors its volume", async () => {
    const { accessKey, secretKey, guestUrl } = guest.farm.s3 as FarmGuest["farm"]["s3"];
    const image = `--tls-verify=false docker://${guest.farm.registry.guestAddress}/test/busybox:1`;
    const extra = publishArguments("extra-args", [
      `b2c.minio="gateway,${guestUrl},${accessKey},${secretKey}"`,
      `b2c.volume="job-42-results,mirror=gateway/${BUCKET},pull_on=pipeline_start,push_on=changes,overwrite,expiration=pipeline_end,preserve"`,
      'b2c.volume="tmp"',
      `b2c.run_service="-v tmp:/shared ${image} sh -c 'while true; do date > /shared/beat; sleep 1; done'"`,
      `b2c.run="-ti ${image} echo machine is registered"`,
      `b2c.run="-v job-42-results:/work -v tmp:/shared -w /work -e COLOUR=blue ${image} sh -euc 'until [ -s /shared/beat ]; do sleep 1; done; tar xf install.tar; sh install/run.sh; echo $COLOUR > colour; exit 3'"`,
      `b2c.run="${image} echo this must not run"`,
      `b2c.run_post="${image} sh -c 'echo the status was $B2C_PIPELINE_STATUS'"`,
    ]);
    const run = await guest.boot(
      `SALAD.machine_id=52:54:00:12:34:56 b2c.pipefail b2c.cache_device=none b2c.poweroff_delay=1 ${extra}`,
    );
    expect(run.verdict, describeRun(run)).toMatchObject({ verdict: "fail", exitCode: 3 });
    expect(run.exitCode).toBe(3);
    expect(run.console).toMatch(/^.*Execution is over, pipeline status: 3\r$/m);
    expect(run.console).toMatch(/^.*It's now safe to turn off your computer\r$/m);
    expect(run.console).toContain("machine is registered");
    expect(run.console).toContain("the artifact runs");
    expect(run.console).toContain("the status was 3");
    expect(run.console).not.toMatch(/^this must not run/m);
    expect(run.console).toMatch(/section_start:\d+:container_run\r\x1b\[0K/);
    for (const text of [run.console, ...run.results.values()]) expect(text).not.toContain(secretKey);
    const read = await readVolume();
    expect(await read("colour")).toBe("blue\n");
    expect(await read("install/run.sh")).toBe("echo the artifact runs\n");
  });

  it("ends with a status line if nothing can be run", async () => {
    const run = await guest.boot("b2c.extra_args_url={http}/nowhere");
    expect(run.verdict, describeRun(run)).toMatchObject({ verdict: "error", error: { phase: "machine" } });
    expect(run.console).toMatch(/^.*Execution is over, pipeline status: [1-9]\d*\r$/m);
    expect(run.console).toMatch(/^.*It's now safe to turn off your computer\r$/m);
  });
});
