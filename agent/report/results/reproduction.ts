/**
 * The last lines of a job: commands that open a shell in the same environment, and that run the same job in QEMU. They contain no
 * secrets (agent/job/explain/reproduce.ts).
 */

import { formatBootLine, planReproducers } from "../../job/explain/reproduce.ts";
import type { Job } from "../../job/job.ts";

export interface ReproductionOptions {
  /** The kernel command line. */
  line: string;
  job: Job;
  log: { info(line: string): void; warn(line: string): void };
}

/** Never throws: nothing here may cost the verdict. */
export function printReproduction({ line, job, log }: ReproductionOptions): void {
  try {
    for (const text of formatReproductionLines(line, job)) log.info(text);
  } catch (error) {
    log.warn(`reproduce: cannot make a command: ${(error as Error).message}`);
  }
}

/** One line for each main step, and one for the whole job. */
export function formatReproductionLines(line: string, job: Job): string[] {
  const steps = planReproducers(job).filter(({ kind }) => kind === "main");
  const shells = steps.map(({ step, shell, reason, command }) => {
    const what = steps.length === 1 ? "reproduce" : `reproduce step ${step}`;
    if (shell === undefined) return `${what} with podman: not possible: ${reason}`;
    // A shell comment, so that the whole line can be pasted.
    const runs = command === undefined ? "" : `  # it ran: ${command.replace(/\s+/g, " ")}`;
    return `${what} with podman: ${shell}${runs}`;
  });
  return [...shells, `reproduce in QEMU: ${formatBootLine(line)}`];
}
