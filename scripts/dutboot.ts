/**
 * The `dutboot` command of the host: a table of subcommands, each in a file of its own.
 * Help comes from the same records as the parsers, so it cannot drift from them.
 */
import { type Command, formatCommandHelp, parseCommandInput, UsageError } from "./command.ts";

/** Loaded when needed: one command's libraries do not slow down another. */
const COMMANDS: Readonly<Record<string, { summary: string; load: () => Promise<Command> }>> = {
  boot: {
    summary: "Boot a virtual DUT in QEMU and exit with its verdict",
    load: async () => (await import("./boot.ts")).bootCommand,
  },
};

const EXIT_CODE_USAGE = 2;

function formatHelp(): string {
  const width = Math.max(...Object.keys(COMMANDS).map((name) => name.length));
  return [
    "Usage: dutboot COMMAND [OPTION…]",
    "",
    "Commands:",
    ...Object.entries(COMMANDS).map(([name, { summary }]) => `  ${name.padEnd(width)}  ${summary}`),
    "",
    "`dutboot COMMAND --help` shows a command's options and examples.",
    "Exit codes: the test's own up to 200; 201 infra, 202 job, 203 test, 204 config, 205 bug; 2 for a wrong call.",
    "",
  ].join("\n");
}

async function main(words: readonly string[]): Promise<number> {
  const [name, ...rest] = words;
  if (name === undefined || name === "help" || name === "--help") {
    process.stdout.write(formatHelp());
    return name === undefined ? EXIT_CODE_USAGE : 0;
  }
  const entry = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (!entry) throw new UsageError(`Cannot find the command "${name}": \`dutboot --help\` lists all of them`);
  const command = await entry.load();
  const input = parseCommandInput(command, rest);
  if (input === "help") {
    process.stdout.write(formatCommandHelp(command));
    return 0;
  }
  return command.run(input);
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof UsageError)) throw error;
  console.error(`dutboot: ${error.message}`);
  process.exitCode = EXIT_CODE_USAGE;
}
