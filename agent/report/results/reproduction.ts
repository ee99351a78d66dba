/**
 * The last lines of a job for whoever has to find out why it failed: a shell in the same environment, and the same job in QEMU.
 * Each can be pasted as it is; secrets are not in them (agent/job/explain/reproduce.ts).
 */

import { formatBootLine, planReproducers } from "../../job/explain/reproduce.ts";
import type { Job } from "../../job/job.ts";

export interface ReproductionOptions {
  /** The kernel command line, as the job was read from. */
  line: string;
  job: Job;
  log: { info(line: string): void; warn(line: string): void };
}

/** Never throws: the verdict must come whatever is wrong here. */
export function printReproduction({ line, job, log }: ReproductionOptions): void {
  try {
    for (const text of formatReproductionLines(line, job)) log.info(text);
  } catch (error) {
    log.warn(`reproduce: no line for it: ${(error as Error).message}`);
  }
}

/** One for each main step, and one for the whole job. */
export function formatReproductionLines(line: string, job: Job): string[] {
  const steps = planReproducers(job).filter(({ kind }) => kind === "main");
  const shells = steps.map(({ step, shell, reason, command }) => {
    const what = steps.length === 1 ? "reproduce" : `reproduce step ${step}`;
    if (shell === undefined) return `${what} with podman: cannot: ${reason}`;
    // Behind a `#`, so that the whole line can be pasted.
    const runs = command === undefined ? "" : `  # it ran: ${command.replace(/\s+/g, " ")}`;
    return `${what} with podman: ${shell}${runs}`;
  });
  return [...shells, `reproduce in QEMU: ${formatBootLine(line)}`];
}
