/**
 * What has to be released at the end of a boot. Whatever sets something up adds its release at once, so that a failure in a later
 * step does not leave it behind.
 */
import { toAgentError } from "../errors.ts";
import type { MountedRoot } from "../root/root-driver.ts";
import type { Verdict } from "../wire/verdict.ts";

/** What is known when everything is released. */
export interface BootEnd {
  verdict: Verdict;
  /** The job's root, where it was mounted. */
  root?: MountedRoot;
}

type Release = (end: BootEnd) => Promise<void> | void;

export class ReleaseStack {
  readonly #releases: Release[] = [];

  add(release: Release): void {
    this.#releases.push(release);
  }

  /** The latest first, and every one of them. Throws the first failure and logs the others. */
  async run(end: BootEnd, log: { warn(line: string): void }): Promise<void> {
    const failures: unknown[] = [];
    for (const release of this.#releases.splice(0).reverse()) {
      try {
        await release(end);
      } catch (error) {
        if (failures.length > 0) log.warn(`end: ${toAgentError(error).message}`);
        failures.push(error);
      }
    }
    if (failures.length > 0) throw failures[0];
  }
}
