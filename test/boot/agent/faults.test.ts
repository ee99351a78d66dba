/**
 * A fault in every phase, with the expected verdict: code, blame, phase and the host's exit code.
 * In every case the machine powers off and uploads the results that exist.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ERRORS, type ErrorCode, EXIT_CODE_BY_BLAME } from "../../../agent/errors.ts";
import { buildTar } from "../../unit/archive/tar-builder.ts";
import { createFarmGuest, describeRun, type FarmGuest, type GuestBootOptions } from "./farm-guest.ts";
import { pushSmallImage, spoilBlob } from "./small-images.ts";

const MiB = 1024 * 1024;
const PASSWD = buildTar([{ path: "etc/passwd", content: "root:x:0:0:root:/:/\n" }]);
const SPOILED = buildTar([{ path: "data", content: Buffer.alloc(64 * 1024, "spoil me ") }]);
/** More than the store can hold in 512 MiB of memory. Zeros compress to a few KiB. */
const LARGE_BYTES = 300 * MiB;

let guest: FarmGuest;
let damagedInitrd: string;

beforeAll(async () => {
  guest = await createFarmGuest();
  const { farm, folder, bootFiles } = guest;
  const large = buildTar([{ path: "large", content: Buffer.alloc(LARGE_BYTES) }]);
  const push = (name: string, tar: Buffer, compression: "none" | "zstd", cmd = ["/no/such/program"]) =>
    pushSmallImage(farm, folder, { name, layers: [{ tar, compression }], config: { Cmd: cmd } });
  await push("test/no-program:1", PASSWD, "none");
  await push("test/large:1", large, "none");
  await push("test/swelling:1", large, "zstd");
  const { layerDigests } = await push("test/spoiled:1", SPOILED, "none");
  await spoilBlob(farm, layerDigests[0]!);

  const initrd = readFileSync(bootFiles.initrd);
  const at = Math.floor(initrd.length * 0.9);
  initrd[at] = initrd[at]! ^ 0xff;
  damagedInitrd = join(folder, "damaged.img");
  writeFileSync(damagedInitrd, initrd);
});
afterAll(() => guest?.stop());

interface Fault {
  name: string;
  line: string;
  phase: string;
  code: ErrorCode;
  message: RegExp;
  /** Other patterns that the console must match. */
  console?: RegExp;
  /** The test's exit code, if it ran. */
  testExitCode?: number;
  /** False if there is no network or there are no credentials. */
  isUploaded: boolean;
  options?: () => GuestBootOptions;
}

/** The agent's scratch folder has its process id in the name. The kernel runs a core dump handler outside of the container. */
const KILL_AGENT =
  "p=$(sed -n s/.*batch-//p /proc/mounts | sed s/-.*//\\;q); echo agent is $p; sleep 2; echo '|/usr/bin/kill -9 '$p >/proc/sys/kernel/core_pattern; sh -c 'ulimit -c unlimited; kill -SEGV $$'; sleep 1000";

const FAULTS: readonly Fault[] = [
  {
    name: "machine: an unknown option",
    line: "dut.imgae={registry}/test/busybox:1 dut.on_exit=reboot",
    phase: "machine",
    code: "CMDLINE_UNKNOWN_OPTION",
    message: /"dut\.imgae".*dut\.image/,
    // dut.on_exit also applies to a line without a valid job.
    console: /reboot: Restarting system/,
    isUploaded: false,
  },
  {
    name: "machine: a damaged initrd",
    line: "",
    phase: "unknown",
    code: "INITRD_DAMAGED",
    message: /usr\/bin\/node/,
    isUploaded: false,
    // The kernel drops everything after the damage, so the modules come first.
    options: () => ({ initrds: [guest.bootFiles.modules, damagedInitrd] }),
  },
  {
    name: "fetch: a host where nobody listens",
    line: "dut.image=10.0.2.2:1/test/busybox:1",
    phase: "fetch",
    code: "FETCH_UNREACHABLE",
    message: /10\.0\.2\.2:1/,
    isUploaded: true,
  },
  {
    name: "fetch: a digest that nobody pushed",
    line: `dut.image={registry}/test/busybox@sha256:${"0".repeat(64)}`,
    phase: "fetch",
    code: "IMAGE_NOT_FOUND",
    message: /sha256:0000/,
    isUploaded: true,
  },
  {
    name: "fetch: a layer whose bytes have changed in the registry",
    line: "dut.image={registry}/test/spoiled:1",
    phase: "fetch",
    code: "LAYER_DIGEST_MISMATCH",
    message: /sha256:/,
    isUploaded: true,
  },
  {
    name: "fetch: a registry whose password we do not have",
    // Without credentials there is no CA, so the registry must be in dut.insecure.
    line: `dut.insecure={registry} dut.s3=https://10.0.2.2:1`,
    phase: "fetch",
    code: "REGISTRY_UNAUTHORIZED",
    message: /test\/busybox/,
    isUploaded: false,
    options: () => ({ credentials: "none" }),
  },
  {
    name: "fetch: an image that says it is larger than the store",
    line: "dut.image={registry}/test/large:1",
    phase: "fetch",
    code: "ROOT_NO_SPACE",
    message: /314\.6 MB compressed/,
    isUploaded: true,
    options: () => ({ memoryMiB: 512 }),
  },
  {
    name: "fetch: an image that swells past the store",
    line: "dut.image={registry}/test/swelling:1",
    phase: "fetch",
    code: "ROOT_NO_SPACE",
    message: /no space left/,
    isUploaded: true,
    options: () => ({ memoryMiB: 512 }),
  },
  {
    name: "artifact: another file than the job means",
    line: `dut.artifact={https}/install.tar.zst,sha256=${"1".repeat(64)}`,
    phase: "artifact",
    code: "ARTIFACT_DIGEST_MISMATCH",
    message: /the digest of its bytes is "sha256:/,
    isUploaded: true,
  },
  {
    name: "run: a program that the image does not have",
    line: "dut.image={registry}/test/no-program:1",
    phase: "run",
    code: "RUN_COMMAND_NOT_FOUND",
    message: /\/no\/such\/program/,
    isUploaded: true,
  },
  {
    name: "run: a test that hangs and does not heed SIGTERM",
    line: `dut.timeout=45s dut.run="trap '' TERM; echo hanging; echo kept > /results/kept; while :; do sleep 1; done"`,
    phase: "run",
    code: "TEST_TIMEOUT",
    message: /45\.0 s/,
    console: /^hanging\r?$/m,
    isUploaded: true,
  },
  {
    name: "run: a test that kills the agent",
    line: `"dut.run=${KILL_AGENT}"`,
    phase: "run",
    code: "AGENT_DIED",
    message: /signal 9/,
    console: /^agent is \d+\r?$/m,
    isUploaded: false,
  },
  {
    name: "upload: a bucket that is not there",
    line: 'dut.s3={s3} dut.results=s3://nowhere/at-all dut.run="exit 9"',
    phase: "upload",
    code: "S3_NO_BUCKET",
    message: /nowhere/,
    testExitCode: 9,
    isUploaded: false,
  },
];

describe.concurrent("a fault", { timeout: 900_000 }, () => {
  it.for(FAULTS)("$name", async (fault) => {
    const { code, phase } = fault;
    const run = await guest.boot(fault.line, fault.options?.());
    const { blame } = ERRORS[code];
    const exitCode = fault.testExitCode ?? null;
    expect(run.verdict, describeRun(run)).toMatchObject({
      verdict: "error",
      exitCode,
      error: { code, blame, phase, message: expect.stringMatching(fault.message) },
    });
    expect(run).toMatchObject({ outcome: "ended", exitCode: EXIT_CODE_BY_BLAME[blame] });
    const test = exitCode === null ? "" : ` exit_code=${exitCode}`;
    expect(run.verdictLines).toEqual([
      expect.stringMatching(`^dutboot: verdict: error code=${code} blame=${blame} phase=${phase}${test}: `),
    ]);
    expect(run.console).not.toContain("Kernel panic");
    if (fault.console) expect(run.console).toMatch(fault.console);
    expect([...run.results.keys()].includes("verdict.json")).toBe(fault.isUploaded);
    if (fault.isUploaded) expect(run.results.get("dutboot.log")).toContain(run.verdict!.error!.message);
    console.log(run.verdictLines[0]);
  });

  it("of memory in the test ends only the test", async () => {
    const run = await guest.boot('dut.run="dd if=/dev/zero of=/dev/null bs=450M count=1; exit 7"');
    expect(run.verdict, describeRun(run)).toMatchObject({
      verdict: "error",
      exitCode: 7,
      error: { code: "TEST_OUT_OF_MEMORY", blame: "test", phase: "run" },
    });
    expect(run.console).toMatch(/run: the kernel killed a process of the test because memory ran out/);
    expect(run.results.has("verdict.json")).toBe(true);
  });
  it("of disk space for results: the test's failure says so, and the complete files are uploaded", async () => {
    const run = await guest.boot(
      'dut.run="mount -o remount,size=4M /results; echo kept >/results/kept; head -c 9000000 /dev/zero >/results/large"',
    );
    expect(run.verdict, describeRun(run)).toMatchObject({
      verdict: "error",
      exitCode: 1,
      error: { code: "RESULTS_NO_SPACE", blame: "test", phase: "run" },
    });
    expect(run.results.get("kept")).toBe("kept\n");
    expect(JSON.parse(run.results.get("verdict.json")!)).toMatchObject({ verdict: "error", exitCode: 1 });
  });
});
