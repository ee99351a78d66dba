/**
 * What a dialect makes of a line: a job as far as it could be read, and everything that is wrong with it.
 */
import type { AgentError } from "../errors.ts";
import type { Job } from "./job.ts";

export interface ReadAnyJob {
  /** What could be read of it, whatever the errors. */
  job: Job;
  /** All of them, in order; those of a step stand there as well. */
  errors: AgentError[];
  warnings: string[];
}
