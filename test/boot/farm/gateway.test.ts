/**
 * A DUT on the farm's network with a clock in 1970: address, name and time come from dnsmasq and chronyd, so that
 * TLS and S3, which need a correct clock, work.
 */
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { bootDut } from "../../../qemu/boot-dut.ts";
import { formatFarmCredentials } from "../../../qemu/farm/credentials.ts";
import { type Farm, startFarm } from "../../../qemu/farm/farm.ts";
import { GATEWAY_NAME, type Gateway, startGateway } from "../../../qemu/farm/gateway.ts";
import { claimRunDirectory } from "../../../qemu/run-directory.ts";
import { pushImage } from "../../../qemu/test-image/push-image.ts";
import { prepareBootFiles, prepareFarmGoods } from "../../../scripts/prepare.ts";
import { findProcesses } from "../../integration/farm/find-processes.ts";

let folder: string;
let farm: Farm;
let gateway: Gateway;
const log = () => {};

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "dutboot-gateway-"));
  farm = await startFarm({ runDir: folder, log });
  gateway = await startGateway({
    tools: farm.tools,
    folder: join(folder, "gateway"),
    ports: farm.ports,
    log,
  });
});

afterAll(async () => {
  await gateway?.stop();
  await farm?.stop();
  const left = await findProcesses(folder);
  await rm(folder, { recursive: true, force: true });
  expect(left).toEqual([]);
});

test("the gateway serves address, name and time by DHCP, DNS and NTP", async () => {
  const [bootFiles, { tinyImage, artifact }] = await Promise.all([prepareBootFiles(), prepareFarmGoods()]);
  const digest = await pushImage(farm, tinyImage, "test/busybox:1");
  await farm.http.publish(artifact.path, "install.tar.zst");
  await farm.s3.createBucket("results");
  const artifactUrl = `https://${GATEWAY_NAME}:${new URL(farm.https.guestUrl).port}/install.tar.zst`;
  const runDirectory = await claimRunDirectory(join(folder, "runs"));
  const result = await bootDut({
    toolsRoot: gateway.tools,
    runDirectory,
    kernel: bootFiles.kernel,
    initrds: [bootFiles.initrd, bootFiles.modules],
    commandLine: [
      `dut.image=${farm.registry.guestAddress}/test/busybox@${digest}`,
      `dut.artifact=${artifactUrl},sha256=${artifact.sha256}`,
      `dut.run="ls /install > /results/artifact; date +%s > /results/date"`,
      `dut.s3=${farm.s3.guestUrl},region=${farm.s3.region} dut.results=s3://results/run`,
      `dut.insecure=${new URL(farm.s3.guestUrl).host} dut.timeout=5m`,
    ].join(" "),
    fwCfg: Object.fromEntries(
      Object.entries(formatFarmCredentials(farm)).map(([name, text]) => [
        `org.dutboot/credentials/${name}`,
        text,
      ]),
    ),
    nics: [gateway.nic],
    extraArguments: ["-rtc", "base=1970-01-02T00:00:00"],
  });
  const console = await readFile(result.consolePath, "latin1");
  expect(result.verdict, console.slice(-4000)).toMatchObject({ verdict: "pass" });

  const results = join(folder, "results");
  const names = await farm.s3.downloadObjects("results", "run", results);
  expect(names).toEqual(expect.arrayContaining(["artifact", "date", "verdict.json"]));
  expect(await readFile(join(results, "artifact"), "utf8")).toContain("run-vulkaninfo.sh\n");
  // A minute after the boot the clocks of DUT and host differ by less than a quarter of an hour.
  const dutSeconds = Number(await readFile(join(results, "date"), "utf8"));
  expect(Math.abs(dutSeconds - Date.now() / 1000)).toBeLessThan(900);
  expect(await readFile(join(folder, "gateway/dnsmasq.log"), "utf8")).toContain("DHCPACK");
});
