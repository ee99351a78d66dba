/**
 * Builds the adapters of one boot: those the machine phase needs at once, and those that need a job and a network.
 */
import { createHash } from "node:crypto";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { AgentError } from "./errors.ts";
import { parseAwsCredentials } from "./job/aws-credentials.ts";
import { readDutDialect } from "./job/dut-dialect.ts";
import type { Job, S3Endpoint } from "./job/job.ts";
import { umount } from "./kernel/syscalls.ts";
import { createArchiveOpener } from "./net/archive-opener.ts";
import { createHttpClient } from "./net/http-client.ts";
import type { HttpClient } from "./net/http-message.ts";
import { createRegistryClient } from "./net/registry.ts";
import { createS3Client } from "./net/s3.ts";
import { parseAuthFile } from "./oci/auth-file.ts";
import { formatImageReference } from "./oci/reference.ts";
import { PATHS } from "./paths.ts";
import type { BootAdapters, JobAdapters } from "./phases/boot.ts";
import type { PhaseRunner } from "./phases/phase-runner.ts";
import type { Console } from "./report/console.ts";
import type { EventStream } from "./report/event-stream.ts";
import type { Log } from "./report/log.ts";
import type { LogFile } from "./report/log-file.ts";
import { startProgress } from "./report/progress.ts";
import type { Redaction } from "./report/redaction.ts";
import { listResults } from "./report/results.ts";
import { chooseRootDriver } from "./root/choose-driver.ts";
import type { MountedRoot } from "./root/root-driver.ts";
import { type OpenStore, openStore } from "./store/open-store.ts";
import { setClockFloor, syncClock } from "./sys/clock.ts";
import { runContainer } from "./sys/container.ts";
import { type Credentials, createCredentials } from "./sys/credentials.ts";
import { createModuleLoader } from "./sys/modules.ts";
import { bringUpNetwork } from "./sys/network.ts";
import { createVerdict } from "./wire/verdict.ts";

export interface BootTools {
  runner: PhaseRunner;
  log: Log;
  logFile: LogFile;
  console: Console;
  events: EventStream;
  redaction: Redaction;
  build: { buildTimeMs: number };
}

/** What no device asks for by its modalias, and every job needs. */
const SOFTWARE_MODULES = ["overlay", "loop", "erofs", "ext4", "qemu_fw_cfg"];

export function createBootAdapters(tools: BootTools): BootAdapters {
  const { log, runner, events, build } = tools;
  let store: OpenStore | undefined;
  const modules = createModuleLoader({ log });
  return {
    async loadModules() {
      await modules.loadForDevices();
      for (const name of SOFTWARE_MODULES) await modules.load(name);
    },
    attachEventPort: events.attachPort,
    readJob() {
      const job = readJob(log);
      writeFileSync(PATHS.onExit, job.onExit);
      if (job.limits.timeoutMs !== undefined) runner.setDeadline(job.limits.timeoutMs);
      return job;
    },
    bringUpNetwork: (job, { signal }) =>
      bringUpNetwork({
        log,
        signal,
        lookForDevices: modules.loadForDevices,
        ...(job.ip !== undefined && { ip: job.ip }),
      }),
    async setClock(network, { signal }) {
      setClockFloor(build.buildTimeMs, { log });
      await syncClock(network.ntpServers, { log, buildTimeMs: build.buildTimeMs, signal });
    },
    async connect(job, { signal }) {
      store = await openStore(job.cache, { path: PATHS.store, log, signal });
      return connect(job, store, tools);
    },
    async release(root) {
      if (store) await releaseStore(store, root, log);
    },
  };
}

function readJob(log: Log): Job {
  const { job, errors, warnings } = readDutDialect(readFileSync("/proc/cmdline", "utf8"));
  for (const warning of warnings) log.warn(`job: ${warning}`);
  const [first, ...others] = errors;
  for (const error of others) log.error(`job: ${error.message}. ${error.hint}`);
  if (first) throw first;
  if (!job)
    throw new AgentError(
      "BUG_UNEXPECTED",
      "Cannot read a job from the command line, and no complaint says why",
    );
  const { root } = job;
  if (!root || !("image" in root))
    throw new AgentError("BUG_UNEXPECTED", "Cannot run a job whose root is no image: not yet");
  return { ...job, root };
}

/** What lies in RAM goes with the machine; a cache device is left tidy, within its quota, and written back. */
async function releaseStore(store: OpenStore, root: MountedRoot | undefined, log: Log): Promise<void> {
  if (store.kind === "ram") return;
  await root?.unmount();
  rmSync(store.scratchDir, { recursive: true, force: true });
  const { kept, keptBytes, droppedReferences, freedBytes } = store.collect();
  for (const { name } of droppedReferences) log.info(`store: dropped ${name}: the quota has no room for it`);
  for (const { name, usedAtMs } of kept)
    log.info(`store: keeps ${name}, used ${new Date(usedAtMs).toISOString()}`);
  const megabytes = (bytes: number) => (bytes / 1e6).toFixed(0);
  log.info(`store: ${megabytes(keptBytes)} MB kept, ${megabytes(freedBytes)} MB freed`);
  store.close();
  umount(store.path);
}

async function connect(job: Job, store: OpenStore, tools: BootTools): Promise<JobAdapters> {
  const { log, runner, redaction } = tools;
  const credentials = createCredentials({ log });
  const ca = await credentials.read("ca.pem");
  const http = createHttpClient({
    insecureHosts: job.insecureHosts,
    log: { warn: (message) => log.warn(message) },
    ...(ca && { extraCa: ca.toString() }),
  });
  const authFile = await credentials.read("registry.json");
  const auths = authFile && parseAuthFile(authFile);
  const imageName = formatImageReference(job.root.image);
  const needsComposefs = job.root.composefsDigest !== undefined && job.root.driver === "auto";

  const s3 = job.s3 && (await connectS3(job.s3, http, credentials, redaction));

  return {
    openArchive: createArchiveOpener(http, s3),
    registry: createRegistryClient(http, {
      auth(registry, repository) {
        const found = auths?.findCredential(registry, repository);
        if (found) for (const secret of [found.password, found.identityToken]) redaction.hide(secret ?? "");
        return found;
      },
    }),
    rootDriver: chooseRootDriver(needsComposefs ? "composefs" : job.root.driver, {
      store: store.objects,
      scratchDir: store.scratchDir,
      log,
      onUse: (used) => store.remember({ id: nameReference(imageName), name: imageName, ...used }),
    }),
    rootOptions: {
      target: PATHS.root,
      upperDir: `${store.scratchDir}/upper`,
      workDir: `${store.scratchDir}/work`,
      ...(job.root.composefsDigest !== undefined && { composefsDigest: job.root.composefsDigest }),
    },
    platform: { os: "linux", architecture: process.arch === "x64" ? "amd64" : process.arch },
    startProgress,
    readFreeBytes: store.readFreeBytes,
    resultsPath: PATHS.results,
    onOutput(chunk) {
      tools.console.output(chunk);
      tools.logFile.write(chunk);
    },
    runContainer: (step) => runContainer(step, { log, bundleDir: PATHS.bundle }),
    dropDamagedObjects: store.dropDamagedObjects,
    ...(s3 && { s3 }),
    listResults: () => listResults(PATHS.results),
    formatVerdictFile(exitCode) {
      const verdict = createVerdict(runner.records, exitCode, runner.firstFailure);
      return Buffer.from(redaction.redact(JSON.stringify(verdict, null, 2)));
    },
  };
}

/** The same image asked for again is the same reference, whatever it is made of by then. */
function nameReference(imageName: string): string {
  return `image-${createHash("sha256").update(imageName).digest("hex").slice(0, 32)}`;
}

async function connectS3(
  endpoint: S3Endpoint,
  http: HttpClient,
  credentials: Credentials,
  redaction: Redaction,
) {
  const bytes = await credentials.read("s3");
  if (!bytes) return createS3Client(http, { endpoint });
  const keys = parseAwsCredentials(bytes.toString());
  redaction.hide(keys.secretKey);
  redaction.hide(keys.sessionToken ?? "");
  return createS3Client(http, { endpoint, credentials: keys });
}
