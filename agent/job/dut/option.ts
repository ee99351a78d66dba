/**
 * One option of our own: its name, its form for help and documentation, and the reader of its value.
 */
import { AgentError } from "../../errors.ts";
import { showValue } from "../../redaction/patterns.ts";
import type { ReadingRules } from "../syntax/sub-parameters.ts";
import { explainValueError } from "../syntax/values.ts";
import type { JobDraft } from "./job-draft.ts";

export interface Option {
  /** With the prefix: `dut.image`. */
  name: string;
  /** The value's form, as help shows it; absent: a bare word. */
  form?: string;
  help: string;
  /** A whole word of a command line. */
  example: string;
  isRepeatable?: boolean;
  /** Has no meaning in a job file. */
  isOfLine?: boolean;
  /** Reads the value into the draft; throws ValueError or an AgentError of the value's own reader. */
  read?(value: string, draft: JobDraft, rules: ReadingRules): void;
}

/** Throws CMDLINE_BAD_VALUE; its hint is the option's example. */
export function readOption(
  { name, form, example, read }: Option,
  value: string | undefined,
  draft: JobDraft,
  warn: (warning: string) => void,
): void {
  const refuse = (given: string, why: string) =>
    new AgentError("CMDLINE_BAD_VALUE", `Cannot read "${given}": ${why}`, { hint: `Write it as ${example}` });
  const given = value === undefined ? name : `${name}=${showOptionValue(name, value)}`;
  if (form === undefined && value !== undefined) throw refuse(given, "it takes no value");
  if (form !== undefined && value === undefined) throw refuse(given, "it has no value");
  try {
    read?.(value ?? "", draft, { warn: (warning) => warn(`${name}: ${warning}`), isStrict: true });
  } catch (error) {
    throw refuse(given, explainValueError(error));
  }
}

/** Keys stand behind the first comma of an alias, in whatever order they were mistaken. */
function showOptionValue(name: string, value: string): string {
  return name === "dut.s3_alias" ? value.split(",", 1)[0]! : showValue(value);
}

/** `dut.image=REF` */
export function formatUsage({ name, form }: Option): string {
  return form === undefined ? name : `${name}=${form}`;
}
