/**
 * Phase "machine": drivers for the devices that are there, the network, the clock, the job, and its settings of the machine.
 * It starts before the job is read, so that an invalid command line is reported through every channel too.
 */
import type { Job } from "../job/job.ts";
import type { Announcer } from "../report/console/b2c-announcer.ts";
import type { NetworkState } from "../sys/network/network.ts";
import type { PhaseContext } from "./phase-runner.ts";

export interface MachineAdapters {
  announcer: Announcer;
  /** Loads the modules for the devices that are there, and those that every job needs. */
  loadModules(): Promise<void>;
  attachEventPort(): boolean;
  /** Reads the job as far as the command line describes it; throws for a line that is not a job. */
  readJob(): Job;
  bringUpNetwork(job: Job, phase: PhaseContext): Promise<NetworkState>;
  setClock(job: Job, network: NetworkState, phase: PhaseContext): Promise<ClockSetting>;
  /** Fetches the rest of the job where the command line only points to it. */
  completeJob(
    lineJob: Job,
    machine: { network: NetworkState; clock: ClockSetting },
    phase: PhaseContext,
  ): Promise<Job>;
  /** Loads the modules that the job names; a network driver may be among them. */
  loadJobModules(job: Job): Promise<void>;
  /** Sets hostname and keymap, attaches block devices. */
  applySettings(job: Job, phase: PhaseContext): Promise<void>;
}

export interface ClockSetting {
  /** False where the clock only shows the agent's build time. */
  isRight: boolean;
}

export interface MachineJob {
  job: Job;
  network: NetworkState;
  /** The command line describes the whole job. */
  isLineOnly: boolean;
}

export async function readJob(phase: PhaseContext, adapters: MachineAdapters): Promise<MachineJob> {
  const { announcer } = adapters;
  // The port's driver is built into some kernels and a module of others: the host hears of us as early as possible.
  const hasPort = adapters.attachEventPort();
  await phase.during("the drivers", adapters.loadModules);
  if (!hasPort) adapters.attachEventPort();
  const lineJob = adapters.readJob();
  await adapters.loadJobModules(lineJob);
  announcer.networkConnecting();
  const bringUp = () => adapters.bringUpNetwork(lineJob, phase);
  const network = await phase.during("the network", bringUp).catch((error: unknown) => {
    announcer.networkFailed();
    throw error;
  });
  announcer.networkConnected(lineJob.ip === undefined ? network.interfaces : "kernel");
  announcer.clockSetting();
  const setClock = () => adapters.setClock(lineJob, network, phase);
  const clock = await phase.during("the time servers", setClock);
  const complete = () => adapters.completeJob(lineJob, { network, clock }, phase);
  const hasExtraArguments = lineJob.machine?.extraArgumentsUrl !== undefined;
  if (hasExtraArguments) announcer.extraArgumentsFetching();
  const job = await phase.during("the job's file", complete).catch((error: unknown) => {
    if (hasExtraArguments) announcer.extraArgumentsFetched(false);
    throw error;
  });
  if (hasExtraArguments) announcer.extraArgumentsFetched(true);
  return { job, network, isLineOnly: job === lineJob };
}

export async function applyJobSettings(
  job: Job,
  isLineOnly: boolean,
  phase: PhaseContext,
  adapters: MachineAdapters,
): Promise<void> {
  // Modules that the line names are loaded already; loading them again changes nothing.
  if (!isLineOnly) await adapters.loadJobModules(job);
  await phase.during("the machine's settings", () => adapters.applySettings(job, phase));
}
