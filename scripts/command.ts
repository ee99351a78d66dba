/**
 * A subcommand of `dutboot` as one record, from which its parser, its --help and its entry in the list are derived.
 * Options follow util.parseArgs; everything after `--` is a positional.
 */
import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { explainValueError, parseDuration } from "../agent/job/syntax/values.ts";
import { EXIT_CODE_NO_VERDICT } from "../agent/wire/verdict.ts";
import { EXIT_CODE_STOPPED } from "../qemu/boot-dut.ts";
import { InterruptError } from "./interrupt.ts";

export interface CommandOption {
  type: "string" | "boolean";
  multiple?: boolean;
  /** The value's placeholder in --help: `FILE`. */
  value?: string;
  help: string;
}

export interface Command {
  name: string;
  /** One line, for the list of commands. */
  summary: string;
  /** The operands after the options: `-- 'COMMAND LINE'`. */
  operands?: string;
  options: Readonly<Record<string, CommandOption>>;
  /** More lines below the summary. */
  notes?: readonly string[];
  /** Complete command lines. */
  examples: readonly string[];
  /** Returns the exit code. */
  run(input: CommandInput): Promise<number>;
}

export interface CommandInput {
  /** The value of an option given at most once. */
  text(name: string): string | undefined;
  texts(name: string): readonly string[];
  flag(name: string): boolean;
  operands: readonly string[];
}

/** A wrong call: printed without a stack; exit code 2. */
export class UsageError extends Error {}

export const EXIT_CODE_USAGE = 2;

/** Returns "help" or the parsed input; throws UsageError for what the command does not accept. */
export function parseCommandInput(command: Command, words: readonly string[]): CommandInput | "help" {
  const options = { ...command.options, help: { type: "boolean" as const, help: "Show this help" } };
  const config = Object.fromEntries(
    Object.entries(options).map(([name, { type, multiple = false }]: [string, CommandOption]) => [
      name,
      { type, multiple },
    ]),
  );
  let parsed: ReturnType<typeof parseArgs>;
  try {
    parsed = parseArgs({ args: [...words], options: config, allowPositionals: true });
  } catch (error) {
    throw new UsageError((error as Error).message, { cause: error });
  }
  const { values, positionals } = parsed;
  if (values.help) return "help";
  if (positionals.length > 0 && !command.operands)
    throw new UsageError(`Cannot use "${positionals[0]}": no operand expected`);
  const texts = (name: string) => [values[name] ?? []].flat().map(String);
  return {
    text: (name) => texts(name).at(-1),
    texts,
    flag: (name) => values[name] === true,
    operands: positionals,
  };
}

/**
 * Parses the arguments, then shows help or runs the command. A wrong call returns EXIT_CODE_USAGE. Any other error is
 * printed on stderr and returns the code for infra, because no test has run.
 */
export async function runCommand(command: Command, words: readonly string[]): Promise<number> {
  try {
    const input = parseCommandInput(command, words);
    if (input !== "help") return await command.run(input);
    process.stdout.write(formatCommandHelp(command));
    return 0;
  } catch (error) {
    if (error instanceof UsageError) {
      console.error(`dutboot: ${error.message}`);
      return EXIT_CODE_USAGE;
    }
    if (error instanceof InterruptError) {
      console.error(`dutboot: ${error.message}`);
      // All clean-up is done; a build that still runs would delay the exit.
      process.exit(EXIT_CODE_STOPPED);
    }
    console.error("dutboot:", error);
    return EXIT_CODE_NO_VERDICT;
  }
}

export function formatCommandHelp(command: Command): string {
  const rows = Object.entries(command.options).map(([name, { value, help, multiple }]) => [
    `--${name}${value ? ` ${value}` : ""}`,
    multiple ? `${help} (repeatable)` : help,
  ]);
  const width = Math.max(0, ...rows.map(([left]) => left!.length));
  return [
    `Usage: dutboot ${command.name} [OPTION…]${command.operands ? ` ${command.operands}` : ""}`,
    "",
    command.summary,
    ...(command.notes ? ["", ...command.notes] : []),
    ...(rows.length > 0
      ? ["", "Options:", ...rows.map(([left, right]) => `  ${left!.padEnd(width)}  ${right}`)]
      : []),
    ...(command.examples.length > 0 ? ["", "Examples:", ...command.examples.map((line) => `  ${line}`)] : []),
    "",
  ].join("\n");
}

/** Returns an integer of at least 1; throws UsageError. */
export function parseCount(name: string, text: string): number {
  const count = Number(text);
  if (!Number.isInteger(count) || count < 1) {
    throw new UsageError(`Cannot use --${name} "${text}": expected an integer of at least 1`);
  }
  return count;
}

/** Returns the absolute path of an existing file; throws UsageError. */
export function parseFile(name: string, text: string): string {
  const path = resolve(text);
  if (!existsSync(path)) throw new UsageError(`Cannot use --${name} "${text}": the file does not exist`);
  return path;
}

/** Parses a duration as in `dut.timeout` (`90s`, `15m`, `1h30m`) to milliseconds; throws UsageError. */
export function parseDurationOption(name: string, text: string): number {
  try {
    return parseDuration(text);
  } catch (error) {
    throw new UsageError(`Cannot use --${name} "${text}": ${explainValueError(error)}`, { cause: error });
  }
}
