import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { readSupervisorFacts } from "../../../agent/job/supervisor-facts.ts";
import { FactsFile } from "../../../agent/wiring/facts-file.ts";

const COMMON = new URL("../../../initrd/files/common", import.meta.url);

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "dutboot-facts-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** As the supervisor reads them. */
function load(): string {
  const common = readFileSync(COMMON, "utf8").replaceAll("/run/dutboot", folder);
  const names = "DIALECT ON_EXIT POWEROFF_DELAY_S USES_WATCHDOG PHASE VERDICT_PRINTED END_ANNOUNCED";
  const show = names.replaceAll(/\w+/g, "$$$&");
  return execFileSync("sh", ["-c", `${common}\nload_facts\necho ${show}`], { encoding: "utf8" }).trim();
}

it("gives the supervisor every fact", () => {
  const line = "b2c.run=farm:5000/image dut.on_exit=reboot b2c.poweroff_delay=15 dut.watchdog=never";
  const file = new FactsFile(join(folder, "facts"), readSupervisorFacts(line));
  expect(load()).toBe("b2c reboot 15 false unknown false false");
  file.update({ phase: "fetch" });
  file.update({ isVerdictPrinted: true, onExit: "halt", poweroffDelayS: 0 });
  expect(load()).toBe("b2c halt 0 false fetch true false");
  file.update({ isEndAnnounced: true });
  expect(load()).toBe("b2c halt 0 false fetch true true");
  expect(file.facts).toMatchObject({ phase: "fetch", isVerdictPrinted: true });
  expect(readdirSync(folder)).toEqual(["facts"]);
});

it("leaves the supervisor its defaults where it cannot be written", () => {
  const file = new FactsFile(join(folder, "absent", "facts"), readSupervisorFacts("dut.on_exit=reboot"));
  file.update({ phase: "run" });
  expect(file.facts).toMatchObject({ phase: "run", onExit: "reboot" });
  expect(load()).toBe("unknown poweroff 0 true unknown false false");
});
