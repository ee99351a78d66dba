/**
 * Reads the parameters of a job into a draft and collects every error and warning, for all dialects.
 */
import { AgentError } from "../errors.ts";
import { showValue } from "../redaction/patterns.ts";
import { checkReferences, checkUrls, type ReferenceOptions } from "./check-draft.ts";
import { DUT_PREFIX } from "./dut/options.ts";
import type { Dialect } from "./job.ts";
import { createDraft, type JobDraft } from "./job-draft.ts";
import type { DutOption, Option } from "./option.ts";
import type { Parameter } from "./syntax/command-line.ts";
import { parseIpParameter } from "./syntax/ip-parameter.ts";
import { explainValueError } from "./syntax/values.ts";

/** The last word of a line that arrived complete. */
export const END_MARKER = "dut.end";

/** The option of a name, or the reason why it is not read: an error, a warning, or undefined for the parameter of another program. */
export type OptionLookup = (name: string) => Option | AgentError | string | undefined;

export class JobReader {
  readonly draft: JobDraft;
  /** In the order of the parameters. */
  readonly errors: AgentError[] = [];
  readonly warnings: string[] = [];
  /** Options that were given, whether their values are valid or not. */
  readonly seen = new Set<string>();

  constructor(dialect: Dialect) {
    this.draft = createDraft(dialect);
  }

  /** `overrides` says which source of parameters takes precedence over which. */
  readAll(parameters: readonly Parameter[], lookUp: OptionLookup, overrides = ""): void {
    const seenHere = new Set<string>();
    for (const parameter of parameters) {
      const { name, value } = parameter;
      if (name === "ip" && value !== undefined) this.draft.ip = value;
      if (name === "BOOTIF" && value !== undefined) this.#readBootInterface(value);
      const option = lookUp(name);
      if (option instanceof AgentError) this.errors.push(option);
      else if (typeof option === "string") this.warnings.push(option);
      else if (option) {
        // As the kernel treats its own parameters.
        const isOverride = !option.isRepeatable && option.form !== undefined;
        if (isOverride && seenHere.has(option.name))
          this.warnings.push(`${name} is given more than once: the last one counts`);
        else if (isOverride && this.seen.has(option.name)) this.warnings.push(`${name}: ${overrides}`);
        if (seenHere.has(END_MARKER) && name !== END_MARKER)
          this.warnings.push(`${name} follows ${END_MARKER}, which must be the last word`);
        seenHere.add(option.name);
        this.#read(option, parameter);
      }
    }
    for (const name of seenHere) this.seen.add(name);
  }

  /** The type of the hardware, which is Ethernet (01), and its address: `01-aa-bb-cc-dd-ee-ff`. iPXE users also write the address alone. */
  #readBootInterface(value: string): void {
    const [, address] = /^(?:01[-:])?([0-9a-f]{2}(?:[-:][0-9a-f]{2}){5})$/i.exec(value) ?? [];
    if (address === undefined)
      this.warnings.push(`BOOTIF=${showValue(value)} is ignored: it is not an Ethernet address`);
    else this.draft.bootInterface = address.toLowerCase().replaceAll("-", ":");
  }

  #read(option: Option, { name, value }: Parameter): void {
    const { form, isSecret, isDispensable, read } = option;
    const isStrict = name.startsWith(DUT_PREFIX);
    const usage = (option as Partial<DutOption>).example ?? `${name}=${form}`;
    const shown =
      value === undefined ? name : `${name}=${isSecret ? value.split(",", 1)[0] : showValue(value)}`;
    const createError = (reason: string) =>
      new AgentError("CMDLINE_BAD_VALUE", `Cannot read "${shown}": ${reason}`, {
        hint: `Write it as ${usage}`,
      });
    const report = (error: AgentError) => this.errors.push(error);
    const isMissing = form !== undefined && (isStrict || isDispensable ? !value : value === undefined);
    if (isMissing || (form === undefined && value !== undefined)) {
      const problem = isMissing ? "it has no value" : "it takes no value";
      if (isStrict) report(createError(problem));
      else
        this.warnings.push(`"${shown}" is ignored: ${problem}${isMissing ? `; write it as ${usage}` : ""}`);
      return;
    }
    const warn = (warning: string) => void this.warnings.push(`${name}: ${warning}`);
    try {
      read?.(value ?? "", this.draft, { isStrict, warn, createError, report });
    } catch (error) {
      const reason = explainValueError(error);
      if (isDispensable) this.warnings.push(`"${shown}" is ignored: ${reason}; write it as ${usage}`);
      else report(createError(reason));
    }
  }

  /** Checks the draft as a whole; while a part of the job is still to be fetched, only what that part cannot change. */
  check(options: ReferenceOptions, { isComplete }: { isComplete: boolean }): void {
    const { ip } = this.draft;
    try {
      if (ip !== undefined) parseIpParameter(ip);
    } catch (error) {
      if (!(error instanceof AgentError)) throw error;
      if (this.draft.dialect !== "b2c") this.errors.push(error);
      else {
        // The kernel's own parameter: boot2container asks DHCP all the same.
        this.draft.ip = undefined;
        this.warnings.push(`ip= is ignored: ${error.message}`);
      }
    }
    if (isComplete) {
      const { errors, warnings } = checkReferences(this.draft, this.seen, options);
      this.errors.push(...errors);
      this.warnings.push(...warnings);
    }
    this.errors.push(...checkUrls(this.draft, { isComplete }));
  }
}

export function createOpenQuoteError(): AgentError {
  return new AgentError("CMDLINE_UNTERMINATED_QUOTE", 'Cannot read the command line: a `"` is never closed');
}
