/**
 * What a test that ended by itself, and not well, is known to have run out of: memory or room. Its exit code alone would
 * send people to the test for a fault of the machine's size.
 */
import { AgentError } from "../errors.ts";

/** File systems that a test writes to. */
export type FullPlace = "root" | "results";

export function describeLackOfMemory(step: string, exitCode: number): AgentError {
  return new AgentError(
    "TEST_OUT_OF_MEMORY",
    `Cannot count the test's result: the kernel killed a process of "${step}" because memory ran out, and it ended with exit code ${exitCode}`,
  );
}

export function describeLackOfRoom(place: FullPlace, exitCode: number): AgentError {
  const what = place === "root" ? "its root has" : "the results folder has";
  return new AgentError(
    place === "root" ? "ROOT_NO_SPACE" : "RESULTS_NO_SPACE",
    `Cannot count the test's result: ${what} no room left, and it ended with exit code ${exitCode}`,
  );
}
