/**
 * What was set up is taken down, each in its turn and whatever became of those before it: a swap that sticks must not leave a
 * disk mounted.
 */
import { toAgentError } from "../errors.ts";

/** Throws the first failure; the others are told. */
export async function releaseInTurn(
  releases: readonly (() => Promise<void> | void)[],
  log: { warn(line: string): void },
): Promise<void> {
  let first: { error: unknown } | undefined;
  for (const release of releases) {
    try {
      await release();
    } catch (error) {
      if (first) log.warn(`end: ${toAgentError(error).message}`);
      first ??= { error };
    }
  }
  if (first) throw first.error;
}
