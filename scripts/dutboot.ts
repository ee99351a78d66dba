/**
 * The `dutboot` command of the host: a table of subcommands, one file each.
 * Help and parsers use the same records.
 */

import { type Command, EXIT_CODE_USAGE, runCommand } from "./command.ts";
import { formatOptionHelp } from "./option-help.ts";

/** Loaded on demand, so that the libraries of one command do not slow down another. */
const COMMANDS: Readonly<Record<string, () => Promise<Command>>> = {
  start: async () => (await import("./start.ts")).startCommand,
  boot: async () => (await import("./boot.ts")).bootCommand,
  build: async () => (await import("./build.ts")).buildCommand,
  explain: async () => (await import("./explain.ts")).explainCommand,
  reproduce: async () => (await import("./reproduce.ts")).reproduceCommand,
  repair: async () => (await import("./repair.ts")).repairCommand,
  composefs: async () => (await import("./composefs.ts")).composefsCommand,
  results: async () => (await import("./results.ts")).resultsCommand,
  pack: async () => (await import("./pack.ts")).packCommand,
};

async function formatHelp(): Promise<string> {
  const commands = await Promise.all(Object.values(COMMANDS).map((load) => load()));
  const width = Math.max(...commands.map(({ name }) => name.length));
  return [
    "Usage: dutboot COMMAND [OPTION…]",
    "",
    "Commands:",
    ...commands.map(({ name, summary }) => `  ${name.padEnd(width)}  ${summary}`),
    "",
    "Options of the kernel command line (docs/options.md):",
    formatOptionHelp(),
    "",
    "`dutboot COMMAND --help` shows a command's options and examples.",
    "Exit codes: the test's own up to 200; 201 infra, 202 job, 203 test, 204 config, 205 bug; 2 for a wrong call.",
    "",
  ].join("\n");
}

async function main(words: readonly string[]): Promise<number> {
  const [name, ...rest] = words;
  if (name === undefined || name === "help" || name === "--help") {
    process.stdout.write(await formatHelp());
    return name === undefined ? EXIT_CODE_USAGE : 0;
  }
  const entry = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (entry) return runCommand(await entry(), rest);
  console.error(`dutboot: Cannot find the command "${name}": \`dutboot --help\` lists all of them`);
  return EXIT_CODE_USAGE;
}

process.exitCode = await main(process.argv.slice(2));
