/**
 * The commands of b2c.shutdown_cmd and b2c.reboot_cmd, which the original evals: split as a shell would, run without one.
 * Farms print the result with `echo` and end the machine; those few programs are what is known.
 */

import { showValue } from "../../redaction/patterns.ts";
import { expandWords, type ShellToken, splitShellText, type VariableLookup } from "./shell-words.ts";
import { ValueError } from "./values.ts";

export interface EndCommand {
  program: "echo" | "sleep" | "sync" | "poweroff" | "reboot" | "halt";
  args: string[];
}

const PROGRAMS: readonly EndCommand["program"][] = ["echo", "sleep", "sync", "poweroff", "reboot", "halt"];

/** Between two commands; each of ours succeeds, so `&&` is as good as `;`. */
const SEPARATORS = new Set([";", "&&", "\n"]);

/** Throws ValueError for what only a shell could do, and for other programs. */
export function parseEndCommands(text: string, lookup: VariableLookup): EndCommand[] {
  const commands: ShellToken[][] = [[]];
  for (const token of splitShellText(text)) {
    if (token.kind === "word") commands.at(-1)!.push(token);
    else if (SEPARATORS.has(token.text)) commands.push([]);
    else throw new ValueError(`has "${token.text}", which only a shell could do`);
  }
  return commands.flatMap((tokens) => {
    const [name, ...args] = expandWords(tokens, lookup);
    if (name === undefined) return [];
    const program = PROGRAMS.find((known) => known === name);
    if (program === undefined)
      throw new ValueError(`runs "${showValue(name)}", and only ${PROGRAMS.join(", ")} are known`);
    return { program, args };
  });
}
