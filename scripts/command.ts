/**
 * What a subcommand of `dutboot` is: one record from which its parser, its --help and its place in the list come.
 * Options follow util.parseArgs; everything after `--` is a positional.
 */
import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { explainValueError, parseDuration } from "../agent/job/syntax/values.ts";
import { EXIT_CODE_NO_VERDICT } from "../agent/wire/exit-code.ts";
import { EXIT_CODE_STOPPED } from "../qemu/boot-dut.ts";
import { InterruptError } from "./interrupt.ts";

export interface CommandOption {
  type: "string" | "boolean";
  multiple?: boolean;
  /** What stands for the value in --help: `FILE`. */
  value?: string;
  help: string;
}

export interface Command {
  name: string;
  /** One line for the list of commands. */
  summary: string;
  /** What follows the options: `-- 'COMMAND LINE'`. */
  operands?: string;
  options: Readonly<Record<string, CommandOption>>;
  /** Lines of text below the summary. */
  notes?: readonly string[];
  /** Whole lines that work when pasted. */
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

/** The user asked for something that cannot be: shown without a stack, exit code 2. */
export class UsageError extends Error {}

export const EXIT_CODE_USAGE = 2;

/** Help asked for, or what was given; throws UsageError for anything the command does not know. */
export function parseCommandInput(command: Command, words: readonly string[]): CommandInput | "help" {
  const options = { ...command.options, help: { type: "boolean" as const, help: "Show this" } };
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
 * Parses, shows help or runs. A wrong call gives EXIT_CODE_USAGE; whatever else is thrown is told on stderr and gives the
 * code of a failed farm, since no test can have had its say.
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
      // Everything that wants an end in order has had it; a build that still runs would keep us here.
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

/** A whole number of at least 1, or UsageError. */
export function parseCount(name: string, text: string): number {
  const count = Number(text);
  if (!Number.isInteger(count) || count < 1) {
    throw new UsageError(`Cannot use --${name} "${text}": a whole number of at least 1 is expected`);
  }
  return count;
}

/** The absolute path of a file that can be read, or UsageError. */
export function parseFile(name: string, text: string): string {
  const path = resolve(text);
  if (!existsSync(path)) throw new UsageError(`Cannot use --${name} "${text}": there is no such file`);
  return path;
}

/** `90s`, `15m` or `1h30m` in milliseconds, as in `dut.timeout`, or UsageError. */
export function parseDurationOption(name: string, text: string): number {
  try {
    return parseDuration(text);
  } catch (error) {
    throw new UsageError(`Cannot use --${name} "${text}": ${explainValueError(error)}`, { cause: error });
  }
}
