/** What becomes of anything that is thrown: an error of ours stays, a full disk is told, the rest is a bug. */
import { writeFileSync } from "node:fs";
import { expect, it } from "vitest";
import { AgentError, toAgentError } from "../../agent/errors.ts";

function thrownBy(work: () => unknown): unknown {
  try {
    work();
  } catch (error) {
    return error;
  }
  throw new Error("Nothing was thrown");
}

it.each([
  { name: "an error of ours", thrown: new AgentError("S3_NO_KEY", "Cannot"), code: "S3_NO_KEY" },
  { name: "a full disk", thrown: thrownBy(() => writeFileSync("/dev/full", "x")), code: "ROOT_NO_SPACE" },
  { name: "another error", thrown: new TypeError("no"), code: "BUG_UNEXPECTED" },
  { name: "a text", thrown: "no", code: "BUG_UNEXPECTED" },
  { name: "nothing", thrown: undefined, code: "BUG_UNEXPECTED" },
])("$name is $code", ({ thrown, code }) => {
  expect(toAgentError(thrown).code).toBe(code);
});
