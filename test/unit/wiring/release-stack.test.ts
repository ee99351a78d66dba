import { expect, it } from "vitest";
import { type BootEnd, ReleaseStack } from "../../../agent/wiring/release-stack.ts";

it("releases everything in reverse order, logs the failures, and throws the first", async () => {
  const done: string[] = [];
  const warnings: string[] = [];
  const end = { verdict: {} } as BootEnd;
  const stack = new ReleaseStack();
  const add = (name: string, fails = false) =>
    stack.add((given) => {
      expect(given).toBe(end);
      done.push(name);
      if (fails) throw new Error(`cannot release ${name}`);
    });
  add("disk");
  add("store", true);
  add("swap", true);
  add("journal");
  const run = stack.run(end, { warn: (line) => warnings.push(line) });
  await expect(run).rejects.toThrow("cannot release swap");
  expect(done).toEqual(["journal", "swap", "store", "disk"]);
  expect(warnings).toEqual([expect.stringMatching(/^end: .*cannot release store/)]);
  await stack.run(end, { warn: () => {} });
  expect(done).toHaveLength(4);
});
