/** Complete jobs: what the test sees, its exit code, the uploads, and how the machine ends. */
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { zstdCompressSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { buildTar } from "../../unit/archive/tar-builder.ts";
import { createFarmGuest, describeRun, type FarmGuest, type GuestRun } from "./farm-guest.ts";
import { expectTrueManifest } from "./uploaded-manifest.ts";

const CHECKS = "check-root.tar.zst";
const YEAR_1970 = ["-rtc", "base=1970-01-01T00:00:00"];

let guest: FarmGuest;
let checksSha256: string;

beforeAll(async () => {
  guest = await createFarmGuest();
  const script = readFileSync(join(import.meta.dirname, "check-root.sh"));
  const archive = zstdCompressSync(
    buildTar([{ path: "checks/check-root.sh", mode: 0o755, content: script }]),
  );
  checksSha256 = createHash("sha256").update(archive).digest("hex");
  writeFileSync(join(guest.farm.http.root, CHECKS), archive);
});
afterAll(() => guest?.stop());

const readFacts = (run: GuestRun) =>
  Object.fromEntries(
    (run.results.get("facts") ?? "")
      .trim()
      .split(/\n(?=\w+=)/)
      .map((line) => [line.slice(0, line.indexOf("=")), line.slice(line.indexOf("=") + 1)]),
  );

/** Checks that the uploaded record equals the host's, and that no log has a secret. */
function expectHonestResults(run: GuestRun): void {
  const uploaded = JSON.parse(run.results.get("verdict.json") ?? "{}") as GuestRun["verdict"];
  expect(uploaded).toMatchObject({ verdict: run.verdict?.verdict, exitCode: run.verdict?.exitCode });
  expectTrueManifest(run);
  for (const text of [run.console, ...run.results.values()]) {
    expect(text).not.toContain(guest.farm.s3.secretKey);
    expect(text).not.toContain(guest.farm.registry.password);
  }
}

describe.concurrent("a job", { timeout: 600_000 }, () => {
  it("passes, with artifacts, environment, results, and credentials from fw_cfg", async () => {
    const run = await guest.boot(
      [
        "dut.image=docker://{registry}/test/busybox@{digest}",
        "dut.artifact={https}/install.tar.zst,to=/opt,sha256={artifactSha256}",
        // Plain HTTP without a digest: the farm's line has the host in dut.insecure.
        "dut.artifact={http}/install.tar.zst",
        `dut.artifact={https}/${CHECKS},sha256=${checksSha256}`,
        'dut.env=COLOUR=blue "dut.run=sh /checks/check-root.sh" root=/dev/nowhere dut.timeout=5m dut.end',
      ].join(" "),
    );
    expect(run.verdict, describeRun(run)).toMatchObject({ verdict: "pass", exitCode: 0 });
    expect(run).toMatchObject({ exitCode: 0, verdictLines: ["dutboot: verdict: pass exit_code=0"] });
    const { date, ...facts } = readFacts(run);
    expect(facts).toEqual({
      removed: "",
      opaque: "above",
      motd: "layer 2",
      owned: "1000:1001 640",
      links: "2",
      console: "/dev/console",
      artifact: "VERSION\nrun-vulkaninfo.sh",
      again: "VERSION\nrun-vulkaninfo.sh",
      colour: "blue",
      from_image: "busybox",
      user: "0",
      resolver: "1",
      written: "new",
    });
    expect(Math.abs(Number(date) - Date.now() / 1000)).toBeLessThan(900);
    expect([...run.results.keys()].sort()).toEqual([
      "deep er/ä",
      "dutboot.log",
      "events.jsonl",
      "facts",
      "job.json",
      "junit.xml",
      "kernel.log",
      "manifest.json",
      "report.html",
      "steps/1-main.log",
      "verdict.json",
    ]);
    expect(run.results.get("deep er/ä")).toHaveLength(100_000);
    expect(run.results.get("kernel.log")).toMatch(/^\[ +0\.000000\] Linux version /m);
    expect(JSON.parse(run.results.get("job.json") ?? "{}")).toMatchObject({
      dialect: "dut",
      phases: [{ name: "machine" }, { name: "fetch" }, {}, {}, {}, {}, {}],
    });
    const page = run.results.get("report.html");
    const looked = ["<h1>Pass</h1>", "install.tar.zst", "reproduce with podman", "Memory: "];
    expect([...looked, `boot ${run.verdict!.bootId}`].filter((text) => !page?.includes(text))).toEqual([]);
    const log = run.results.get("dutboot.log");
    expect(log).toContain(run.results.get("steps/1-main.log"));
    for (const text of ["to standard output", "to standard error", "without a line end"]) {
      expect(log).toContain(text);
      expect(run.console).toContain(text);
    }
    expectHonestResults(run);
    const outcomes = run.verdict!.phases.map(({ name, outcome }) => `${name} ${outcome}`);
    expect(outcomes).toEqual([
      "machine done",
      "fetch done",
      "assemble done",
      "artifact done",
      "run done",
      "upload done",
      "end done",
    ]);
    expect(run.events.map(({ seq }) => seq)).toEqual(run.events.map((_, index) => index));
  });

  it("fails with the test's code, with a clock in 1970, a static address, credentials from SMBIOS and a reset at the end", async () => {
    const run = await guest.boot(
      [
        "dut.image={registry}/test/busybox:1 ip=10.0.2.77::10.0.2.2:255.255.255.0::eth0:none:10.0.2.3",
        "dut.artifact={https}/install.tar.zst",
        'dut.run="date +year=%Y; ip -4 -o address show eth0; exit 3"',
        // S3 rejects a clock that is days off; only NTP would help.
        "dut.s3={s3} dut.on_exit=reboot",
      ].join(" "),
      { credentials: "smbios", extraArguments: YEAR_1970 },
    );
    expect(run.verdict, describeRun(run)).toMatchObject({ verdict: "fail", exitCode: 3 });
    expect(run).toMatchObject({ exitCode: 3, verdictLines: ["dutboot: verdict: fail exit_code=3"] });
    expect(run.console).toMatch(/clock: was at 1970-01-01T00:00:\d\dZ, set to the time of the build/);
    expect(run.console).toMatch(/^year=20[2-9]\d\r?$/m);
    expect(run.console).toMatch(/inet 10\.0\.2\.77\/24/);
    expect(run.console).toMatch(/credentials: "registry.json" from SMBIOS/);
    expect(run.console).toContain("reboot: Restarting system");
  });

  it("runs the image's own command, with credentials from an archive, and halts", async () => {
    const run = await guest.boot("dut.on_exit=halt", { credentials: "archive", memoryMiB: 640 });
    expect(run.verdict, describeRun(run)).toMatchObject({ verdict: "pass", exitCode: 0 });
    expect(run.message).toMatch(/did not power off/);
    expect(run.console).toMatch(/^busybox image: ok\r?$/m);
    expect(run.console).toMatch(/credentials: "s3" from a file/);
    expect(run.console).toContain("reboot: System halted");
    expectHonestResults(run);
  });
});
