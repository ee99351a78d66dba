/**
 * Phase "machine": drivers for the devices that are there, the network, the clock.
 * It starts before the job is understood, so that even a broken command line is reported through every channel.
 */
import type { Job } from "../job/job.ts";
import type { NetworkState } from "../sys/network.ts";
import type { PhaseContext } from "./phase-runner.ts";

export interface MachineAdapters {
  /** For the devices that are there, and what no device asks for. */
  loadModules(): Promise<void>;
  attachEventPort(): boolean;
  /** Throws for a command line that is no job. */
  readJob(): Job;
  bringUpNetwork(job: Job, context: PhaseContext): Promise<NetworkState>;
  setClock(network: NetworkState, context: PhaseContext): Promise<void>;
}

export async function prepareMachine(context: PhaseContext, adapters: MachineAdapters): Promise<Job> {
  // Built into some kernels, a module of others: the host hears of us as early as can be.
  const isHeard = adapters.attachEventPort();
  await adapters.loadModules();
  if (!isHeard) adapters.attachEventPort();
  const job = adapters.readJob();
  const network = await adapters.bringUpNetwork(job, context);
  await adapters.setClock(network, context);
  return job;
}
