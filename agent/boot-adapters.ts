/**
 * Builds the adapters of one boot: those the machine phase needs at once, and those that need a job and a network.
 */
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { AgentError } from "./errors.ts";
import { parseAwsCredentials } from "./job/aws-credentials.ts";
import { readDutDialect } from "./job/dut-dialect.ts";
import type { Job, S3Endpoint } from "./job/job.ts";
import { createHttpClient } from "./net/http-client.ts";
import type { HttpClient } from "./net/http-message.ts";
import { createRegistryClient } from "./net/registry.ts";
import { createS3Client } from "./net/s3.ts";
import { parseAuthFile } from "./oci/auth-file.ts";
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
import { createOverlayDriver } from "./root/overlay-root.ts";
import { mountRamStore, readFreeBytes } from "./store/ram-store.ts";
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
    connect: (job) => connect(job, tools),
    async release() {
      // Everything of the store is in RAM: what is worth keeping has been uploaded, and power-off syncs the rest.
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
  return job;
}

async function connect(job: Job, tools: BootTools): Promise<JobAdapters> {
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
  const store = mountRamStore(PATHS.store);
  log.info(`store: in RAM, at most ${(store.sizeBytes / 1e6).toFixed(0)} MB`);

  return {
    http,
    registry: createRegistryClient(http, {
      auth(registry, repository) {
        const found = auths?.findCredential(registry, repository);
        if (found) for (const secret of [found.password, found.identityToken]) redaction.hide(secret ?? "");
        return found;
      },
    }),
    rootDriver: createOverlayDriver({ storeDir: store.path }),
    rootOptions: { target: PATHS.root, upperDir: `${store.path}/upper`, workDir: `${store.path}/work` },
    platform: { os: "linux", architecture: process.arch === "x64" ? "amd64" : process.arch },
    startProgress,
    readFreeBytes: () => readFreeBytes(store.path),
    resultsPath: PATHS.results,
    onOutput(chunk) {
      tools.console.output(chunk);
      tools.logFile.write(chunk);
    },
    runContainer: (step) => runContainer(step, { log, bundleDir: PATHS.bundle }),
    ...(job.s3 && { s3: await connectS3(job.s3, http, credentials, redaction) }),
    listResults: () => listResults(PATHS.results),
    writeVerdictFile(exitCode) {
      const path = `${PATHS.results}/verdict.json`;
      writeFileSync(
        path,
        JSON.stringify(createVerdict(runner.records, exitCode, runner.firstFailure), null, 2),
      );
      return { name: "verdict.json", path, sizeBytes: statSync(path).size };
    },
  };
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
