/**
 * Builds the adapters of one boot that need no job yet: the machine's, and how the store is opened and released.
 */
import { rmSync, writeFileSync } from "node:fs";
import { toAgentError } from "../errors.ts";
import type { Job } from "../job/job.ts";
import { listJobSecrets } from "../job/job-secrets.ts";
import { needsNetwork } from "../job/needs-network.ts";
import { createStepRecorder } from "../junit/step-cases.ts";
import { umount } from "../kernel/syscalls.ts";
import { createArchiveOpener } from "../net/archives/archive-opener.ts";
import type { HttpClient } from "../net/http/http-message.ts";
import type { FactsReader } from "../page/report-facts.ts";
import { PATHS } from "../paths.ts";
import type { BootAdapters } from "../phases/boot.ts";
import type { PhaseContext, PhaseRunner } from "../phases/phase-runner.ts";
import type { SyncHook } from "../phases/sync-results.ts";
import { listCredentialSecrets } from "../redaction/credential-secrets.ts";
import type { Redaction } from "../redaction/redaction.ts";
import type { Announcer } from "../report/console/b2c-announcer.ts";
import type { ConsoleSet } from "../report/console/console.ts";
import type { EventStream } from "../report/log/event-stream.ts";
import type { KernelLog } from "../report/log/kernel-log.ts";
import type { Log } from "../report/log/log.ts";
import type { LogFile } from "../report/log/log-file.ts";
import type { NetworkLog } from "../report/network-log/network-log.ts";
import type { OutputBus } from "../report/output-bus.ts";
import type { AgentFiles } from "../report/results/agent-files.ts";
import { writeAgentFiles } from "../report/results/write-agent-files.ts";
import type { MountedRoot } from "../root/root-driver.ts";
import { createUnpackPool } from "../root/unpack/pool.ts";
import { type OpenStore, openStore } from "../store/open-store.ts";
import { chooseTimeServers, setClockFloor, syncClock } from "../sys/clock/clock.ts";
import { type Credentials, createCredentials } from "../sys/machine/credentials.ts";
import { loadKeymap } from "../sys/machine/keymap.ts";
import { createModuleLoader, namesModule } from "../sys/machine/modules.ts";
import { mountPstore } from "../sys/machine/pstore.ts";
import { nameMachine } from "../sys/network/hostname.ts";
import { startNetconsole } from "../sys/network/netconsole.ts";
import { bringUpNetwork, type NetworkOptions, type NetworkState } from "../sys/network/network.ts";
import { setUpInterfaces } from "../sys/network/static-interfaces.ts";
import { mountFileSystem } from "../sys/storage/file-systems.ts";
import { type AttachedDevice, attachNetworkBlockDevice } from "../sys/storage/nbd.ts";
import { type EnabledSwap, enableSwap } from "../sys/storage/swap.ts";
import { createVerdict } from "../wire/verdict.ts";
import { type JournalWriter, openJournalWriter } from "./boot-journal.ts";
import { connectHttp } from "./connect-http.ts";
import { connectS3 } from "./connect-s3.ts";
import { createJobConsoles } from "./consoles.ts";
import { createJobAdapters, type MountFileSystem } from "./job-adapters.ts";
import type { JobSource } from "./job-source.ts";
import { NETWORK_UNNEEDED_WAIT_MS } from "./limits.ts";
import { createNfsClient } from "./nfs-client.ts";
import { releaseInTurn } from "./release-all.ts";
import { listResultWriters } from "./result-writers.ts";
import { createResultsAdapters } from "./results-adapters.ts";
import { startJobSync } from "./results-sync.ts";
import { startNetworkLog } from "./start-network-log.ts";

export interface BootTools {
  runner: PhaseRunner;
  log: Log;
  logFile: LogFile;
  files: AgentFiles;
  bootId: string;
  kernelLog: KernelLog;
  output: OutputBus;
  consoles: ConsoleSet;
  events: EventStream;
  /** Of all events so far. */
  reportFacts: FactsReader;
  redaction: Redaction;
  announcer: Announcer;
  networkLog: NetworkLog;
  source: JobSource;
  build: { version: string; buildTimeMs: number };
}

/** What no device asks for by its modalias, and every job needs. */
const SOFTWARE_MODULES = ["overlay", "loop", "erofs", "ext4", "qemu_fw_cfg"];

export function createBootAdapters(tools: BootTools): BootAdapters {
  const { log, runner, events, build, redaction, announcer, source } = tools;
  let store: OpenStore | undefined;
  let network: NetworkState | undefined;
  let journal: JournalWriter | undefined;
  let exitCode: number | null = null;
  let swap: EnabledSwap | undefined;
  let http: HttpClient | undefined;
  let isClockRight = false;
  const warn = (message: string) => log.warn(message);
  const attached: AttachedDevice[] = [];
  /** Run at intervals while the test runs: whoever has something to save puts it here, with the name for a warning. */
  const syncHooks: SyncHook[] = [];
  const modules = createModuleLoader({ log });
  const credentials = hideCredentials(createCredentials({ log }), redaction);
  const steps = createStepRecorder();
  const consoles = createJobConsoles({
    consoles: tools.consoles,
    log,
    line: source.line,
    lookForDevices: modules.loadForDevices,
  });
  const accept = (job: Job) => {
    writeFileSync(PATHS.onExit, job.onExit);
    for (const secret of listJobSecrets(job)) redaction.hide(secret);
    consoles.apply(job);
    return job;
  };
  const mountOn =
    ({ signal }: PhaseContext): MountFileSystem =>
    (fileSystem, target) => {
      const ownAddress = network?.interfaces[0]?.address;
      const options = { log, signal, loadModule: modules.load };
      return mountFileSystem(fileSystem, target, {
        ...options,
        ownAddress,
      });
    };
  const openNfsClient = (scratchDir: string) =>
    createNfsClient({ log, loadModule: modules.load, scratchDir, network });
  const startLogs = async (job: Job) => {
    const { netconsole, hostname = network?.interfaces[0]?.address } = job.machine ?? {};
    await startNetworkLog(job, { ...tools, credentials, hostname, isClockRight });
    // Its own pace: a gateway may take seconds to say its address.
    if (netconsole) void startNetconsole(netconsole, { log, loadModule: modules.load });
  };
  return {
    announcer,
    async loadModules() {
      await modules.loadForDevices();
      await modules.load(...SOFTWARE_MODULES);
      // Where a board's firmware describes that memory, the device asks for it.
      if (namesModule(source.line, "ramoops")) await modules.load("ramoops");
      mountPstore();
      consoles.findNew();
    },
    attachEventPort: events.attachPort,
    readJob() {
      const job = accept(source.read());
      runner.setLimits(job.limits);
      return job;
    },
    async bringUpNetwork(job, { signal }) {
      const { ip, machine: { interfaces = [] } = {} } = job;
      const options = { log, signal, lookForDevices: modules.loadForDevices };
      if (!needsNetwork(job)) network = await bringUpIfThere(options);
      else if (interfaces.length > 0) network = await setUpInterfaces(interfaces, options);
      else network = await bringUpNetwork({ ...options, ip });
      return network;
    },
    async setClock(network, { dialect, machine = {} }, { signal }) {
      const { buildTimeMs } = build;
      setClockFloor(buildTimeMs, { log });
      const { servers, tries } = chooseTimeServers(machine.ntp, network.ntpServers);
      const { source, server } = await syncClock(servers, { log, buildTimeMs, tries, signal });
      isClockRight = source !== "build";
      announcer.clockSet(server ?? (dialect === "b2c" ? servers[0] : undefined), source === "ntp");
    },
    async completeJob(job, { signal }) {
      const connect = async () => {
        const http = await connectHttp(job, { credentials, warn });
        const s3 = job.s3 && (await connectS3(job.s3, { http, credentials, redaction }));
        return createArchiveOpener(http, s3, openNfsClient(PATHS.nfs).openFile);
      };
      try {
        const whole = accept(await source.complete(job, connect, { signal }));
        runner.setLimits(whole.limits);
        await startLogs(whole);
        return whole;
      } catch (error) {
        // What the line itself says is enough for the log to tell of it.
        await startLogs(job);
        throw error;
      }
    },
    async loadJobModules({ machine = {} }) {
      const { modules: names = [], moduleFiles = [] } = machine;
      if (names.length + moduleFiles.length === 0) return;
      announcer.modulesLoading();
      await modules.load(...names);
      for (const path of moduleFiles) await modules.loadFile(path);
      announcer.modulesLoaded();
    },
    async applySettings({ dialect, machine = {} }, { signal }) {
      const { hostname = dialect === "b2c" ? "boot2container" : undefined, keymap } = machine;
      if (hostname !== undefined) {
        announcer.hostnameSetting();
        nameMachine(hostname, log);
      }
      if (keymap !== undefined) {
        announcer.keymapSetting();
        const { path, isLoaded } = await loadKeymap(keymap, { log });
        announcer.keymapSet(keymap, path, isLoaded);
      }
      for (const wish of machine.networkBlockDevices ?? []) {
        const options = { log, signal, loadModule: modules.load, isOptional: dialect === "b2c" };
        attached.push(await attachNetworkBlockDevice(wish, options));
      }
    },
    async connectResults(job) {
      http = await connectHttp(job, { credentials, warn });
      if (!job.results) return undefined;
      const s3 = job.s3 && (await connectS3(job.s3, { http, credentials, redaction }));
      const nfs = openNfsClient(PATHS.nfs);
      return createResultsAdapters(job.results.to, s3, { ...tools, credentials, http, nfs });
    },
    async connect(job, context) {
      const { signal } = context;
      announcer.cacheMounting();
      const pool = createUnpackPool();
      // A thread loads its code while the disk is looked at.
      pool.warmUp();
      store = await openStore(job.cache, {
        path: PATHS.store,
        log,
        signal,
        dialect: job.dialect,
        ...planCacheFileSystem(job, mountOn(context)),
      });
      announcer.cacheMounted(store.outcome);
      const { swap: wish } = job.machine ?? {};
      if (wish)
        swap = await enableSwap(wish, {
          log,
          signal,
          isOptional: job.dialect === "b2c",
          // On a file system of somebody else's nothing can be swapped to.
          ...(store.outcome.kind === "device" && { folder: store.scratchDir }),
        });
      http ??= await connectHttp(job, { credentials, warn });
      const jobTools = {
        ...tools,
        credentials,
        http,
        store,
        pool,
        steps,
        syncHooks,
        nfs: openNfsClient(store.scratchDir),
      };
      journal = await openJournalWriter(job, jobTools);
      return createJobAdapters(job, { ...jobTools, mountFileSystem: mountOn(context) });
    },
    settlePreviousBoots: async (context) => journal?.settlePrevious(context),
    startSync: (job, results) => startJobSync(job, results, { ...tools, syncHooks }),
    writeAgentFiles(facts) {
      exitCode = facts.verdict.exitCode;
      return writeAgentFiles(listResultWriters({ ...tools, steps }), facts, {
        files: tools.files,
        warn: (message) => log.warn(message),
      });
    },
    async release(root) {
      const closeStore = async (opened: OpenStore) => {
        if (opened.kind === "cache") announcer.cacheUnmounting();
        await releaseStore(opened, root, log);
        if (opened.outcome.kind === "device") announcer.cacheUnmounted(opened.outcome.device, true);
      };
      await releaseInTurn(
        [
          () => swap?.release(),
          () => journal?.finish(createVerdict(runner, exitCode)),
          () => store && closeStore(store),
          ...attached.map((device) => () => device.release()),
        ],
        log,
      );
    },
  };
}

/** What is read is secret from then on, whoever uses it. */
function hideCredentials({ read }: Credentials, { hide }: Redaction): Credentials {
  return {
    async read(name) {
      const bytes = await read(name);
      if (bytes) for (const secret of listCredentialSecrets(name, bytes)) hide(secret);
      return bytes;
    },
  };
}

/** For a job that can do without. */
async function bringUpIfThere(options: NetworkOptions): Promise<NetworkState> {
  try {
    return await bringUpNetwork({ ...options, waitMs: NETWORK_UNNEEDED_WAIT_MS });
  } catch (thrown) {
    options.signal?.throwIfAborted();
    options.log.warn(`network: the job goes on without: ${toAgentError(thrown).message}`);
    return bringUpNetwork({ ...options, ip: "off" });
  }
}

/** The store's place where the job names a file system for it. */
function planCacheFileSystem({ cacheFileSystem: name, fileSystems = [] }: Job, mountNamed: MountFileSystem) {
  if (name === undefined) return {};
  const fileSystem = fileSystems.find((each) => each.name === name);
  const mount = fileSystem && ((target: string) => mountNamed(fileSystem, target));
  return { cacheFileSystem: { name, mount } };
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
