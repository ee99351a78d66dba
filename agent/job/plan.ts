/**
 * From a Job to the phases it would run, as a list for people: what `explain` prints is what the agent does.
 */
import { formatImageReference } from "../oci/reference.ts";
import type { Job } from "./job.ts";
import { hideSecrets } from "./redact.ts";

export const PHASE_NAMES = ["machine", "fetch", "assemble", "artifact", "run", "upload", "end"] as const;
export type PhaseName = (typeof PHASE_NAMES)[number];

export interface PlannedPhase {
  name: PhaseName;
  /** One sentence a line; empty for a phase that has nothing to do. */
  does: string[];
}

export function planPhases(job: Job): PlannedPhase[] {
  const [step] = job.steps;
  const image = formatImageReference(job.root.image);
  const lines: Record<PhaseName, string[]> = {
    machine: [
      "load modules",
      job.ip === undefined ? "network by DHCP" : `network by ip=${job.ip}`,
      "set the clock",
    ],
    fetch: [`pull ${image}`],
    assemble: ["mount the root"],
    artifact: job.artifacts.map(({ url, to }) => `unpack ${hideSecrets(url)} at ${to}`),
    run: [step?.argv ? `run ${JSON.stringify(step.argv)}` : "run the image's entrypoint and command"],
    upload: job.results ? [`put the results to s3://${job.results.s3.bucket}/${job.results.s3.prefix}`] : [],
    end: ["print the verdict", job.onExit],
  };
  return PHASE_NAMES.map((name) => ({ name, does: lines[name] }));
}
