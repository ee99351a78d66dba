/**
 * Phase "machine": drivers for the devices that are there, the network, the clock, and what the job says of the machine.
 * It starts before the job is understood, so that even a broken command line is reported through every channel.
 */
import type { Job } from "../job/job.ts";
import type { Announcer } from "../report/console/b2c-announcer.ts";
import type { NetworkState } from "../sys/network/network.ts";
import type { PhaseContext } from "./phase-runner.ts";

export interface MachineAdapters {
  announcer: Announcer;
  /** For the devices that are there, and what no device asks for. */
  loadModules(): Promise<void>;
  attachEventPort(): boolean;
  /** As far as the command line says it; throws for one that is no job. */
  readJob(): Job;
  bringUpNetwork(job: Job, context: PhaseContext): Promise<NetworkState>;
  setClock(network: NetworkState, job: Job, context: PhaseContext): Promise<void>;
  /** The whole job, with what the command line only points to. */
  completeJob(job: Job, context: PhaseContext): Promise<Job>;
  /** Those that the job asks for; a network driver may be among them. */
  loadJobModules(job: Job): Promise<void>;
  /** Name, keymap and block devices that the job asks for. */
  applySettings(job: Job, context: PhaseContext): Promise<void>;
}

/** `onJob` is called as soon as the whole job is known; the network is up then. */
export async function prepareMachine(
  context: PhaseContext,
  adapters: MachineAdapters,
  onJob: (job: Job) => Promise<void>,
): Promise<Job> {
  const { announcer } = adapters;
  // Built into some kernels, a module of others: the host hears of us as early as can be.
  const isHeard = adapters.attachEventPort();
  await context.during("the drivers", adapters.loadModules);
  if (!isHeard) adapters.attachEventPort();
  const ofLine = adapters.readJob();
  await adapters.loadJobModules(ofLine);
  announcer.networkConnecting();
  const bringUp = () => adapters.bringUpNetwork(ofLine, context);
  const network = await context.during("the network", bringUp).catch((error: unknown) => {
    announcer.networkFailed();
    throw error;
  });
  announcer.networkConnected(ofLine.ip === undefined ? network.interfaces : "kernel");
  announcer.clockSetting();
  await context.during("the time servers", () => adapters.setClock(network, ofLine, context));
  const job = await context.during("the job's file", () => completeJob(ofLine, context, adapters));
  await onJob(job);
  // Once more with what only the whole job says; a module that is loaded stays as it is.
  if (job !== ofLine) await adapters.loadJobModules(job);
  await context.during("the machine's settings", () => adapters.applySettings(job, context));
  return job;
}

async function completeJob(
  job: Job,
  context: PhaseContext,
  { announcer, completeJob }: MachineAdapters,
): Promise<Job> {
  if (job.machine?.extraArgumentsUrl === undefined) return completeJob(job, context);
  announcer.extraArgumentsFetching();
  try {
    const whole = await completeJob(job, context);
    announcer.extraArgumentsFetched(true);
    return whole;
  } catch (error) {
    announcer.extraArgumentsFetched(false);
    throw error;
  }
}
