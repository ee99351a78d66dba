/**
 * One boot for each error code that a command line, a server or a disk can cause: the verdict has the code, its blame and phase,
 * and the machine powers off. Takes about ten minutes, so it runs only with `npm test -- night`.
 * Codes that need a misbehaving server are in broken-servers.test.ts; boot/agent/faults has one fault per phase.
 */
import { afterAll, beforeAll, describe, it } from "vitest";
import type { ErrorCode } from "../../agent/errors.ts";
import { createFarmGuest, type FarmGuest, type GuestBootOptions } from "../boot/agent/farm-guest.ts";
import { pushSmallImage } from "../boot/agent/small-images.ts";
import { buildTar } from "../unit/archive/tar-builder.ts";
import { expectVerdict } from "./forced-code.ts";

const ZEROS = "0".repeat(64);
const PASSWD = buildTar([{ path: "etc/passwd", content: "root:x:0:0:root:/:/\n" }]);

let guest: FarmGuest;

beforeAll(async () => {
  guest = await createFarmGuest();
  await pushSmallImage(guest.farm, guest.folder, {
    name: "test/no-command:1",
    layers: [{ tar: PASSWD, compression: "none" }],
  });
});
afterAll(() => guest?.stop());

interface Forced {
  code: ErrorCode;
  phase: string;
  line: string;
  options?: GuestBootOptions;
}

const machine = (code: ErrorCode, line: string, options?: GuestBootOptions): Forced => ({
  code,
  phase: "machine",
  line,
  options,
});
const ALONE: GuestBootOptions = { isAlone: true };

const FORCED: readonly Forced[] = [
  // The line.
  machine("CMDLINE_UNKNOWN_OPTION", "dut.imgae=x"),
  machine("CMDLINE_BAD_VALUE", "dut.timeout=15"),
  machine("CMDLINE_MISSING_OPTION", "dut.run=ls", ALONE),
  machine("CMDLINE_UNTERMINATED_QUOTE", 'dut.image=h:1/i dut.run="ls', ALONE),
  machine("CMDLINE_MIXED_DIALECTS", 'b2c.run="docker://h:1/i" dut.env=A=1', ALONE),
  machine("NETWORK_BAD_PARAMETER", "ip=1.2.3.4.5::::::off"),
  machine("NETWORK_NO_INTERFACE", "", { nics: [] }),
  machine("JOB_FILE_INVALID", "dut.job=file:/etc/passwd"),
  machine("JOB_FILE_DIGEST_MISMATCH", `dut.job=file:/etc/passwd,sha256=${ZEROS}`),
  machine("SOURCE_NOT_FOUND", "dut.job=file:/no/such.yaml"),
  machine("STORE_NO_DEVICE", "dut.cache=/dev/no-such-disk"),
  machine("MACHINE_NBD_FAILED", "dut.nbd=/dev/nbd0,host=10.0.2.2,port=1"),
  machine("MACHINE_SWAP_FAILED", "dut.swap=/dev/no-such-disk"),
  machine("IMAGE_STORE_INVALID", "dut.filesystem=empty,type=tmpfs,src=tmpfs dut.image_store=empty"),
  machine("CREDENTIAL_BAD_FILE", "", {
    credentials: "none",
    fwCfg: { "org.dutboot/credentials/s3": "no profile at all" },
  }),
  machine("REGISTRY_BAD_AUTH_FILE", "", {
    credentials: "none",
    fwCfg: { "org.dutboot/credentials/registry.json": "no JSON" },
  }),
  // What is fetched.
  { code: "PHASE_TIMEOUT", phase: "fetch", line: "dut.timeout.fetch=1ms" },
  { code: "JOB_TIMEOUT", phase: "machine", line: "dut.timeout=1ms" },
  { code: "FETCH_UNREACHABLE", phase: "fetch", line: "dut.image=10.0.2.2:1/test/busybox:1" },
  { code: "FETCH_INSECURE_REFUSED", phase: "machine", line: "dut.artifact=http://10.0.2.2:1/a.tar" },
  {
    code: "FETCH_TLS_UNTRUSTED",
    phase: "fetch",
    line: "dut.s3=https://10.0.2.2:1",
    options: { credentials: "none" },
  },
  { code: "HTTP_NOT_FOUND", phase: "artifact", line: "dut.artifact={https}/no-such.tar" },
  { code: "IMAGE_NOT_FOUND", phase: "fetch", line: "dut.image={registry}/test/busybox:no-such-tag" },
  // The root.
  {
    code: "ROOT_DIGEST_MISMATCH",
    phase: "assemble",
    line: `dut.image={registry}/test/busybox:1,composefs=${ZEROS}`,
  },
  {
    code: "ROOT_DIGEST_NOT_VERIFIED",
    phase: "assemble",
    line: `dut.root=overlay dut.image={registry}/test/busybox:1,composefs=${ZEROS}`,
  },
  { code: "VOLUME_BAD_KEY", phase: "assemble", line: "dut.volume=v,fscrypt_key=short" },
  { code: "ARCHIVE_TRUNCATED", phase: "artifact", line: "dut.artifact=file:/etc/passwd" },
  { code: "ARCHIVE_UNKNOWN_FORMAT", phase: "artifact", line: "dut.artifact=file:/usr/lib/dutboot/main.js" },
  {
    code: "ARTIFACT_DIGEST_MISMATCH",
    phase: "artifact",
    line: `dut.artifact={https}/install.tar.zst,sha256=${ZEROS}`,
  },
  // The test.
  { code: "RUN_COMMAND_NOT_FOUND", phase: "run", line: "dut.init=/no/such/init" },
  { code: "RUN_NO_COMMAND", phase: "run", line: "dut.image={registry}/test/no-command:1" },
  { code: "RUN_NO_FILE", phase: "run", line: 'dut.container="--device /dev/no-such"' },
  { code: "RUN_BAD_SETTING", phase: "run", line: 'dut.container="--ulimit nonsense=1"' },
  { code: "IMAGE_UNKNOWN_USER", phase: "run", line: 'dut.container="--user nobody-at-all"' },
  { code: "VOLUME_NO_SOURCE", phase: "run", line: "dut.mount=/no/such:/x" },
  { code: "TEST_TIMEOUT", phase: "run", line: 'dut.timeout.run=2s dut.run="sleep 1000"' },
  {
    // S3 keys have at most 1,024 bytes.
    code: "UPLOAD_INCOMPLETE",
    phase: "upload",
    line: 'dut.run="cd /results; d=$(printf %0200d 0); for i in 1 2 3 4 5 6; do mkdir $d; cd $d; done; echo deep >deep"',
  },
  { code: "S3_NO_BUCKET", phase: "upload", line: "dut.s3={s3} dut.results=s3://nowhere/at-all" },
];

describe.concurrent("an error code", { timeout: 3_600_000 }, () => {
  it.for(FORCED)("$code", async ({ code, phase, line, options }) => {
    const run = await guest.boot(line, options);
    expectVerdict(run, code, phase);
  });
});
