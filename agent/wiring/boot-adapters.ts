/** Implements what the phases need of the machine: drivers, network, clock, settings, and the job's store. */
import { rmSync } from "node:fs";
import { AgentError, toAgentError } from "../errors.ts";
import type { Job } from "../job/job.ts";
import { needsNetwork } from "../job/job.ts";
import { listJobSecrets } from "../job/job-secrets.ts";
import { umount } from "../kernel/syscalls.ts";
import { PATHS } from "../paths.ts";
import type { BootAdapters, JobConnection, JobStore } from "../phases/boot.ts";
import type { PhaseContext } from "../phases/phase-runner.ts";
import { writeAgentFiles } from "../report/results/write-agent-files.ts";
import { createUnpackPool } from "../root/unpack/pool.ts";
import { type OpenStore, openStore } from "../store/open-store.ts";
import { chooseTimeServers, setClockFloor, syncClock } from "../sys/clock/clock.ts";
import { loadKeymap } from "../sys/machine/keymap.ts";
import { namesModule } from "../sys/machine/modules.ts";
import { mountPstore } from "../sys/machine/pstore.ts";
import { nameMachine } from "../sys/network/hostname.ts";
import { startNetconsole } from "../sys/network/netconsole.ts";
import { bringUpNetwork, type NetworkOptions, type NetworkState } from "../sys/network/network.ts";
import { setUpInterfaces } from "../sys/network/static-interfaces.ts";
import { mountFileSystem } from "../sys/storage/file-systems.ts";
import { attachNetworkBlockDevice } from "../sys/storage/nbd.ts";
import { enableSwap } from "../sys/storage/swap.ts";
import type { BootContext } from "./boot-context.ts";
import { openJournalWriter } from "./boot-journal.ts";
import { type Connection, connect } from "./connection.ts";
import { createJobAdapters, type MountFileSystem } from "./job-adapters.ts";
import { startNetworkLog } from "./network-log.ts";
import type { BootEnd } from "./release-stack.ts";
import { listResultWriters } from "./result-writers.ts";
import { createResultsAdapters, startJobSync } from "./results.ts";

/** Modules that every job needs and no device asks for by its modalias. */
const SOFTWARE_MODULES = ["overlay", "loop", "erofs", "ext4", "qemu_fw_cfg"];
/** For a job that fetches nothing: an interface that works has its link and its lease by then. */
const NETWORK_UNNEEDED_WAIT_MS = 10_000;

export function createBootAdapters(context: BootContext): BootAdapters {
  const { announcer, log, modules, source, warn } = context;
  return {
    announcer,
    attachEventPort: context.events.attachPort,
    async loadModules() {
      await modules.loadForDevices();
      await modules.load(...SOFTWARE_MODULES);
      // Where a board's firmware describes that memory, its device asks for the module.
      if (namesModule(source.line, "ramoops")) await modules.load("ramoops");
      mountPstore();
      context.jobConsoles.findNew();
    },
    readJob: () => acceptJob(source.read(), context),
    async bringUpNetwork(job, { signal }) {
      const { ip, bootInterface, machine: { interfaces = [] } = {} } = job;
      const options = { log, signal, bootInterface, lookForDevices: modules.loadForDevices };
      if (!needsNetwork(job)) return bringUpOptionalNetwork(options);
      const { fault } = modules;
      const limits = fault && { waitMs: NETWORK_UNNEEDED_WAIT_MS };
      try {
        if (interfaces.length > 0) return await setUpInterfaces(interfaces, { ...options, ...limits });
        return await bringUpNetwork({ ...options, ...limits, ip });
      } catch (error) {
        if (!fault || !(error instanceof AgentError) || error.code !== "NETWORK_NO_INTERFACE") throw error;
        throw new AgentError(fault.code, `${error.message}: ${fault.reason}`, { cause: error });
      }
    },
    async setClock({ dialect, machine = {} }, network, { signal }) {
      const { buildTimeMs } = context.build;
      setClockFloor(buildTimeMs, { log });
      const { servers, tries } = chooseTimeServers(machine.ntp, network.ntpServers);
      const clock = await syncClock(servers, { log, buildTimeMs, tries, signal });
      announcer.clockSet(
        clock.server ?? (dialect === "b2c" ? servers[0] : undefined),
        clock.source === "ntp",
      );
      return { isRight: clock.source !== "build" };
    },
    async completeJob(lineJob, { network, clock }, { signal }) {
      let job = lineJob;
      try {
        const openArchives = async () => (await connect(lineJob, network, context)).openArchive;
        job = acceptJob(await source.complete(lineJob, openArchives, { signal }), context);
        return job;
      } finally {
        // Where the rest of the job cannot be had, the log goes where the line says.
        await startLogs(job, network, clock.isRight, context);
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
    connect: (job, network) => connectJob(job, network, context),
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
      for (const request of machine.networkBlockDevices ?? []) {
        const options = { log, signal, loadModule: modules.load, isOptional: dialect === "b2c" };
        const device = await attachNetworkBlockDevice(request, options);
        context.releases.add(() => device.release());
      }
    },
    startSync: (job, results) => startJobSync(job, results, context),
    writeAgentFiles: (facts) =>
      writeAgentFiles(listResultWriters(context), facts, { files: context.files, warn }),
    release: (end) => context.releases.run(end, log),
  };
}

/** Applies what holds from the moment a job is known. */
function acceptJob(job: Job, { facts, redaction, jobConsoles, runner }: BootContext): Job {
  const delayMs = job.machine?.end?.poweroffDelayMs ?? 0;
  facts.update({ onExit: job.onExit, poweroffDelayS: Math.ceil(delayMs / 1000) });
  for (const secret of listJobSecrets(job)) redaction.hide(secret);
  jobConsoles.apply(job);
  runner.setLimits(job.limits);
  return job;
}

async function startLogs(
  job: Job,
  network: NetworkState,
  isClockRight: boolean,
  context: BootContext,
): Promise<void> {
  const { netconsole, hostname = network.interfaces[0]?.address } = job.machine ?? {};
  await startNetworkLog(job, { hostname, isClockRight }, context);
  // Not waited for: a gateway may take seconds to answer for its address.
  if (netconsole) void startNetconsole(netconsole, { log: context.log, loadModule: context.modules.load });
}

/** For a job that needs no network: it is used where there is one. */
async function bringUpOptionalNetwork(options: NetworkOptions): Promise<NetworkState> {
  try {
    return await bringUpNetwork({ ...options, waitMs: NETWORK_UNNEEDED_WAIT_MS });
  } catch (thrown) {
    options.signal?.throwIfAborted();
    options.log.warn(`network: the job goes on without it: ${toAgentError(thrown).message}`);
    return bringUpNetwork({ ...options, ip: "off" });
  }
}

async function connectJob(job: Job, network: NetworkState, context: BootContext): Promise<JobConnection> {
  const connection = await connect(job, network, context);
  return {
    results: job.results && (await createResultsAdapters(job.results.to, connection, context)),
    openStore: (phase) => openJobStore(job, network, connection, phase, context),
  };
}

async function openJobStore(
  job: Job,
  network: NetworkState,
  connection: Connection,
  { signal }: PhaseContext,
  context: BootContext,
): Promise<JobStore> {
  const { announcer, log, modules, releases } = context;
  const mount: MountFileSystem = (fileSystem, target) => {
    const ownAddress = network.interfaces[0]?.address;
    return mountFileSystem(fileSystem, target, { log, signal, loadModule: modules.load, ownAddress });
  };
  announcer.cacheMounting();
  const pool = createUnpackPool();
  // A thread loads its code while the disk is opened.
  pool.warmUp();
  const store = await openStore(job.cache, {
    path: PATHS.store,
    log,
    signal,
    dialect: job.dialect,
    cacheFileSystem: chooseCacheFileSystem(job, mount),
  });
  releases.add((end) => releaseStore(store, end, context));
  announcer.cacheMounted(store.outcome);
  if (job.machine?.swap) {
    const swap = await enableSwap(job.machine.swap, {
      log,
      signal,
      isOptional: job.dialect === "b2c",
      // Only the agent's own file system is known to allow swap files.
      folder: store.outcome.kind === "device" ? store.scratchDir : undefined,
    });
    releases.add(() => swap.release());
  }
  const journal = await openJournalWriter(job, connection, store, context);
  releases.add(({ verdict }) => journal.finish(verdict));
  const adapters = await createJobAdapters(job, { connection, store, pool, mount }, context);
  return { adapters, settlePreviousBoots: journal.settlePrevious };
}

/** The job may name a file system for its store. */
function chooseCacheFileSystem(
  { cacheFileSystem: name, fileSystems = [] }: Job,
  mountNamed: MountFileSystem,
) {
  if (name === undefined) return undefined;
  const fileSystem = fileSystems.find((each) => each.name === name);
  return { name, mount: fileSystem && ((target: string) => mountNamed(fileSystem, target)) };
}

/** A store in RAM needs no release; a cache device is left tidy, within its quota, and written back. */
async function releaseStore(
  store: OpenStore,
  { root }: BootEnd,
  { announcer, log }: BootContext,
): Promise<void> {
  if (store.kind === "ram") return;
  announcer.cacheUnmounting();
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
  if (store.outcome.kind === "device") announcer.cacheUnmounted(store.outcome.device, true);
}
