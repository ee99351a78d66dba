/**
 * The options of the command line as `--help` and docs/options.md show them.
 */
import { OPTIONS } from "../agent/job/dut/options.ts";
import type { Option } from "../agent/job/option.ts";

/** The options as `--help` lists them. */
export function formatOptionHelp(): string {
  return OPTIONS.map((option) => {
    const repeat = option.isRepeatable ? " (repeatable)" : "";
    return `  ${formatUsage(option)}${repeat}\n      ${option.help}\n      ${option.example}`;
  }).join("\n");
}

/** `dut.image=REF` */
export function formatUsage({ name, form }: Option): string {
  return form === undefined ? name : `${name}=${form}`;
}
