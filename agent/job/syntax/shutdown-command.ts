/**
 * Parses the commands that end the machine, such as b2c.shutdown_cmd, which boot2container evaluates in a shell. Farms print
 * the result with `echo` and power off; only the few programs for that are supported.
 */
import { showValue } from "../../redaction/patterns.ts";
import { expandWords, type ShellToken, splitShellText, type VariableLookup } from "./shell-words.ts";
import { ValueError } from "./values.ts";

export interface EndCommand {
  program: "echo" | "sleep" | "sync" | "poweroff" | "reboot" | "halt";
  args: string[];
}

const PROGRAMS: readonly EndCommand["program"][] = ["echo", "sleep", "sync", "poweroff", "reboot", "halt"];

/** The supported programs always succeed, so `&&` is equivalent to `;`. */
const SEPARATORS = new Set([";", "&&", "\n"]);

/** Throws ValueError for other programs, and for what only a shell can do. */
export function parseEndCommands(text: string, lookup: VariableLookup): EndCommand[] {
  const commands: ShellToken[][] = [[]];
  for (const token of splitShellText(text)) {
    if (token.kind === "word") commands.at(-1)!.push(token);
    else if (SEPARATORS.has(token.text)) commands.push([]);
    else throw new ValueError(`has "${token.text}", which needs a shell`);
  }
  return commands.flatMap((tokens) => {
    const [name, ...args] = expandWords(tokens, lookup);
    if (name === undefined) return [];
    const program = PROGRAMS.find((known) => known === name);
    if (program === undefined)
      throw new ValueError(`runs "${showValue(name)}", but only ${PROGRAMS.join(", ")} are supported`);
    return { program, args };
  });
}
