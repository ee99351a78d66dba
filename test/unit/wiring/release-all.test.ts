import { expect, it } from "vitest";
import { releaseInTurn } from "../../../agent/wiring/release-all.ts";

it("releases everything, tells what fails, and throws the first failure", async () => {
  const done: string[] = [];
  const warnings: string[] = [];
  const fail = (name: string) => async () => {
    done.push(name);
    throw new Error(`${name} sticks`);
  };
  const work = releaseInTurn(
    [() => void done.push("network"), fail("swap"), fail("store"), async () => void done.push("disk")],
    { warn: (line) => warnings.push(line) },
  );
  await expect(work).rejects.toThrow("swap sticks");
  expect(done).toEqual(["network", "swap", "store", "disk"]);
  expect(warnings).toEqual([expect.stringMatching(/^end: .*store sticks/)]);
});
