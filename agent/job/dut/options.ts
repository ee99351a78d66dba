/**
 * The table of `dut.*` options. The command line, job files, `--help`, docs/options.md and docs/job.schema.json are all
 * based on it.
 */
import type { DutOption } from "../option.ts";
import { LIMIT_OPTIONS } from "./limit-options.ts";
import { CONSOLE_OPTIONS, MACHINE_OPTIONS } from "./machine-options.ts";
import { ROOT_OPTIONS } from "./root-options.ts";
import { STEP_OPTIONS } from "./step-options.ts";
import { STORAGE_OPTIONS } from "./storage-options.ts";

export const DUT_PREFIX = "dut.";

export const OPTIONS: readonly DutOption[] = [
  ...ROOT_OPTIONS,
  ...STEP_OPTIONS,
  ...LIMIT_OPTIONS,
  ...STORAGE_OPTIONS,
  ...CONSOLE_OPTIONS,
  ...MACHINE_OPTIONS,
];

export function findOption(name: string): DutOption | undefined {
  return OPTIONS.find((option) => option.name === name);
}
