/**
 * What the agent's supervisor needs from the command line, even when no job can be read from it: whose console lines the
 * farm expects, and how the machine ends.
 */
import type { Dialect, OnExit } from "./job.ts";
import { chooseDialect } from "./read-job.ts";
import { parseCommandLine } from "./syntax/command-line.ts";
import { parseSleepSeconds } from "./syntax/values.ts";

export interface SupervisorFacts {
  dialect: Dialect;
  onExit: OnExit;
  /** Of `b2c.poweroff_delay`: the wait between the last message and the power-off. */
  poweroffDelayS: number;
  /** False for `dut.watchdog=never`. */
  usesWatchdog: boolean;
  /** The line says `panic=0`: the machine stays where the kernel panicked. */
  staysInPanic: boolean;
}

const ON_EXIT: readonly OnExit[] = ["poweroff", "reboot", "halt"];

/** Never throws; a value that cannot be read counts as absent. */
export function readSupervisorFacts(line: string): SupervisorFacts {
  const { parameters } = parseCommandLine(line.trimEnd());
  const last = (name: string) => parameters.findLast((parameter) => parameter.name === name)?.value;
  const delay = last("b2c.poweroff_delay") ?? "";
  return {
    dialect: chooseDialect(parameters),
    onExit: ON_EXIT.find((mode) => mode === last("dut.on_exit")) ?? "poweroff",
    poweroffDelayS: Math.ceil(parseSleepSeconds(delay) ?? 0),
    usesWatchdog: last("dut.watchdog") !== "never",
    staysInPanic: last("panic") === "0",
  };
}
