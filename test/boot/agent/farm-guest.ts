/**
 * The real agent on the real farm, for tests of jobs: starts a farm with small images and artifacts, and has
 * a function that boots a command line and returns everything to check.
 */
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseVerdictLine } from "../../../agent/wire/verdict.ts";
import { type BootOptions, type BootResult, bootDut } from "../../../qemu/boot-dut.ts";
import { formatFarmCredentials } from "../../../qemu/farm/credentials.ts";
import { type Farm, startFarm } from "../../../qemu/farm/farm.ts";
import { claimRunDirectory } from "../../../qemu/run-directory.ts";
import { pushImage } from "../../../qemu/test-image/push-image.ts";
import { writeExtraArchive } from "../../../scripts/extra-archive.ts";
import { completeFarmJob, type FarmFacts } from "../../../scripts/farm-job.ts";
import { type BootFiles, prepareBootFiles, prepareFarmGoods } from "../../../scripts/prepare.ts";
import { createTurnstile } from "./turnstile.ts";

const BUCKET = "results";
/** Two emulated machines occupy two cores; a third one would slow down all of them. */
const BOOTS_AT_A_TIME = 2;

export interface FarmGuest {
  farm: Farm;
  folder: string;
  facts: Omit<FarmFacts, "resultsPrefix">;
  bootFiles: BootFiles;
  /** Boots `line` and adds what only the farm knows (scripts/farm-job.ts). */
  boot(line: string, options?: GuestBootOptions): Promise<GuestRun>;
  stop(): Promise<void>;
}

export interface GuestBootOptions extends Partial<BootOptions> {
  /** How the DUT gets its credentials; default: by fw_cfg. */
  credentials?: "fw_cfg" | "smbios" | "archive" | "none";
  /** Boots the line unchanged. */
  isAlone?: boolean;
}

export interface GuestRun extends BootResult {
  console: string;
  /** The verdict lines of the console, without repetitions; exactly one is expected. */
  verdictLines: readonly string[];
  /** The uploaded files by name. */
  results: ReadonlyMap<string, string>;
}

const turnstile = createTurnstile(BOOTS_AT_A_TIME);

export async function createFarmGuest(): Promise<FarmGuest> {
  const folder = await mkdtemp(join(tmpdir(), "dutboot-agent-"));
  const [farm, bootFiles, goods] = await Promise.all([
    startFarm({ runDir: folder, log: () => {} }),
    prepareBootFiles(),
    prepareFarmGoods(),
  ]);
  const [digest] = await Promise.all([
    pushImage(farm, goods.tinyImage, "test/busybox:1"),
    farm.http.publish(goods.artifact.path, "install.tar.zst"),
    farm.s3.createBucket(BUCKET),
  ]);
  const facts: FarmGuest["facts"] = {
    addresses: {
      registry: farm.registry.guestAddress,
      http: farm.http.guestUrl,
      https: farm.https.guestUrl,
      s3: farm.s3.guestUrl,
      digest,
      artifactSha256: goods.artifact.sha256,
    },
    image: `${farm.registry.guestAddress}/test/busybox:1`,
    artifact: { url: `${farm.https.guestUrl}/install.tar.zst`, sha256: goods.artifact.sha256 },
    s3Url: farm.s3.guestUrl,
    s3Region: farm.s3.region,
    resultsBucket: BUCKET,
    plainHosts: [farm.s3.guestUrl, farm.http.guestUrl].map((url) => new URL(url).host),
  };
  const runs = join(folder, "runs");
  return {
    farm,
    folder,
    facts,
    bootFiles,
    boot: (line, options = {}) => turnstile(() => bootLine({ farm, facts, bootFiles, runs }, line, options)),
    stop: async () => {
      await farm.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function bootLine(
  { farm, facts, bootFiles, runs }: Pick<FarmGuest, "farm" | "facts" | "bootFiles"> & { runs: string },
  line: string,
  { credentials = "fw_cfg", isAlone = false, ...options }: GuestBootOptions,
): Promise<GuestRun> {
  const runDirectory = await claimRunDirectory(runs);
  const whole = completeFarmJob(line, { ...facts, resultsPrefix: runDirectory.id });
  const commandLine = isAlone ? line : whole.commandLine;
  const given = await giveCredentials(farm, credentials, runDirectory.path);
  const result = await bootDut({
    toolsRoot: farm.tools,
    runDirectory,
    kernel: bootFiles.kernel,
    // Quiet: kernel messages take seconds on an emulated serial port.
    commandLine: `quiet ${commandLine}`,
    memoryMiB: 768,
    timeoutMs: 300_000,
    endGraceMs: 5_000,
    ...options,
    ...given,
    fwCfg: { ...given.fwCfg, ...options.fwCfg },
    initrds: [...(options.initrds ?? [bootFiles.initrd, bootFiles.modules]), ...given.initrds],
  });
  const console = await readFile(result.consolePath, "latin1");
  const lines = console.split(/\r?\n/);
  const folder = join(runDirectory.path, "results");
  await farm.s3.downloadObjects(BUCKET, runDirectory.id, folder);
  return {
    ...result,
    console,
    verdictLines: readVerdicts(lines),
    results: await readTree(folder),
  };
}

/** Checks that each verdict has three complete, numbered lines of one boot; returns other similar lines unchanged. */
function readVerdicts(lines: readonly string[]): string[] {
  const claims = lines.filter((text) => text.startsWith("dutboot: verdict: "));
  const sound = claims.flatMap((text) => parseVerdictLine(Buffer.from(text, "latin1").toString()) ?? []);
  const isWhole = sound.length === claims.length && sound.map(({ number }) => number).join() === "1,2,3";
  return isWhole
    ? [...new Set(sound.map(({ text, bootId }) => `${bootId} ${text}`))].map((text) => text.slice(9))
    : claims;
}

async function giveCredentials(
  farm: Farm,
  way: GuestBootOptions["credentials"],
  runPath: string,
): Promise<{ fwCfg: Record<string, string>; smbiosStrings: string[]; initrds: string[] }> {
  const secrets = Object.entries(formatFarmCredentials(farm));
  const given = { fwCfg: {}, smbiosStrings: [] as string[], initrds: [] as string[] };
  if (way === "fw_cfg") {
    given.fwCfg = Object.fromEntries(
      secrets.map(([name, text]) => [`org.dutboot/credentials/${name}`, text]),
    );
  }
  if (way === "smbios") {
    given.smbiosStrings = secrets.map(
      ([name, text]) => `dutboot.credential:${name}=${Buffer.from(text).toString("base64")}`,
    );
  }
  if (way === "archive") {
    const path = join(runPath, "credentials.cpio");
    await writeExtraArchive(
      path,
      secrets.map(([name, text]) => ({
        path: `etc/dutboot/credentials/${name}`,
        content: Buffer.from(text),
      })),
    );
    given.initrds = [path];
  }
  return given;
}

/** Reads every file below `folder`, by name. */
export async function readTree(folder: string): Promise<Map<string, string>> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  return new Map(
    await Promise.all(
      files.map(async (path) => [path.slice(folder.length + 1), await readFile(path, "utf8")] as const),
    ),
  );
}

/** The end of the console, for a failed expectation. */
export function describeRun({ message, console, verdictLines }: GuestRun): string {
  return `${message}; ${verdictLines.join(" | ") || "no verdict line"}\n${console.slice(-4000)}`;
}
