/**
 * What follows the verdict: the farm's own last commands where a boot2container line has some, then the end of the machine.
 */
import { writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import type { OnExit } from "../job/job.ts";
import type { EndSettings } from "../job/machine-settings.ts";
import { type EndCommand, parseEndCommands } from "../job/syntax/shutdown-command.ts";
import { PATHS } from "../paths.ts";
import type { Announcer } from "../report/console/b2c-announcer.ts";
import type { OutputBus } from "../report/output-bus.ts";
import { endMachine } from "../sys/machine/power.ts";

export interface EndOptions {
  end?: EndSettings;
  announcer: Announcer;
  output: OutputBus;
  /** Of the pipeline, for the commands' words. */
  variables: Readonly<Record<string, string>>;
}

/** Does not return where the kernel obeys. */
export async function endJob(mode: OnExit, { end = {}, announcer, output, variables }: EndOptions) {
  const text = (mode === "reboot" ? end.rebootCommand : end.poweroffCommand) ?? `${mode} -f`;
  if (mode === "reboot") announcer.rebooting();
  else announcer.poweringOff({ delayMs: end.poweroffDelayMs ?? 0 });
  await output.flush();
  writeFileSync(PATHS.endTold, "");
  // The farm may cut the power now; nothing that counts is left to write.
  if (mode !== "reboot") await sleep(end.poweroffDelayMs ?? 0);
  let ends = mode;
  for (const { program, args } of parseEndCommands(text, (name) => variables[name])) {
    announcer.commandRunning([program, ...args].join(" "));
    if (program === "echo") output.line(args.join(" "));
    if (program === "sleep") await sleep(parseSeconds(args) * 1000);
    if (isEnd(program)) {
      ends = program;
      break;
    }
  }
  await output.close();
  if (ends === "halt") {
    // A watchdog would wake what has halted; init has it in its hands and lets it go first (initrd/files/run-agent).
    writeFileSync(PATHS.onExit, ends);
    process.exit(0);
  }
  await endMachine(ends);
}

function isEnd(program: EndCommand["program"]): program is OnExit {
  return program === "poweroff" || program === "reboot" || program === "halt";
}

/** `sleep` adds its arguments; what is no number is none. */
function parseSeconds(args: readonly string[]): number {
  return args.reduce((sum, text) => sum + (Number(text) || 0), 0);
}
