/**
 * The table of `dut.*` options, one entry an option: reading the command line and job files, `--help`, docs/options.md and
 * docs/job.schema.json all come from here.
 */
import { CONSOLE_OPTIONS } from "./console-options.ts";
import { LIMIT_OPTIONS } from "./limit-options.ts";
import { MACHINE_OPTIONS } from "./machine-options.ts";
import { formatUsage, type Option } from "./option.ts";
import { ROOT_OPTIONS } from "./root-options.ts";
import { STEP_OPTIONS } from "./step-options.ts";
import { STORAGE_OPTIONS } from "./storage-options.ts";

export const OPTIONS: readonly Option[] = [
  ...ROOT_OPTIONS,
  ...STEP_OPTIONS,
  ...LIMIT_OPTIONS,
  ...STORAGE_OPTIONS,
  ...CONSOLE_OPTIONS,
  ...MACHINE_OPTIONS,
];

export function findOption(name: string): Option | undefined {
  return OPTIONS.find((option) => option.name === name);
}

/** The options as `--help` lists them. */
export function formatOptionHelp(): string {
  return OPTIONS.map((option) => {
    const repeat = option.isRepeatable ? " (repeatable)" : "";
    return `  ${formatUsage(option)}${repeat}\n      ${option.help}\n      ${option.example}`;
  }).join("\n");
}
