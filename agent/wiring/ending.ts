/**
 * The end of a boot: the verdict is printed exactly once, whatever fails before or meanwhile; the farm's own last commands follow,
 * then the end of the machine. What the agent cannot finish, its supervisor does (initrd/files/supervise-agent).
 */
import { toAgentError } from "../errors.ts";
import type { OnExit } from "../job/job.ts";
import type { EndSettings } from "../job/machine-settings.ts";
import { parseEndCommands } from "../job/syntax/shutdown-command.ts";
import type { BootResult } from "../phases/boot.ts";
import { printReproduction } from "../report/results/reproduction.ts";
import { formatSeconds } from "../text.ts";
import { createVerdict, formatVerdictLine, formatVerdictLines, type Verdict } from "../wire/verdict.ts";
import type { BootContext } from "./boot-context.ts";

export type EndingContext = Pick<
  BootContext,
  | "announcer"
  | "bootId"
  | "output"
  | "events"
  | "facts"
  | "files"
  | "log"
  | "logFile"
  | "redaction"
  | "runner"
  | "source"
>;

/** What ends the agent and the machine; tests pass their own. */
export interface Power {
  /** Does not return where the kernel obeys. */
  endMachine(mode: OnExit): Promise<unknown>;
  exit(code: number): void;
  sleep(ms: number): Promise<unknown>;
}

export class Ending {
  readonly #context: EndingContext;
  readonly #power: Power;
  #finished: Promise<void> | undefined;

  constructor(context: EndingContext, power: Power) {
    this.#context = context;
    this.#power = power;
  }

  get isUnderWay(): boolean {
    return this.#finished !== undefined;
  }

  /** Only the first call has an effect. */
  finish(result: BootResult): Promise<void> {
    this.#finished ??= this.#finish(result).catch(async (error: unknown) => {
      const { output } = this.#context;
      output.line(`dutboot: the end is left to init: ${error}`);
      await output.flush();
      this.#power.exit(1);
    });
    return this.#finished;
  }

  /** For an error outside of every phase, which is a bug of ours. */
  fail(thrown: unknown): Promise<void> {
    const { bootId, facts, log, runner } = this.#context;
    const error = toAgentError(thrown);
    log.error({ err: thrown }, `the agent cannot go on: ${error.message}`);
    const firstFailure = runner.firstFailure ?? { phase: facts.facts.phase, error };
    return this.finish({ verdict: createVerdict({ bootId, records: runner.records, firstFailure }, null) });
  }

  async #finish({ verdict: found, steps, job }: BootResult): Promise<void> {
    const { bootId, announcer, output, events, facts, files, log, logFile, redaction, source } =
      this.#context;
    const verdict = redaction.cleanValue(found);
    const peakRssBytes = process.resourceUsage().maxRSS * 1024;
    log.info(formatPhaseTable(verdict, peakRssBytes));
    if (job) printReproduction({ line: source.line, job, log });
    // For a person at the DUT.
    files.write("verdict.json", JSON.stringify(verdict));
    events.emit({ event: "end", verdict, peakRssBytes });
    await events.close();
    const line = redaction.clean(formatVerdictLine(verdict));
    logFile.write(`${line}\n`);
    announcer.ended(1);
    for (const numbered of formatVerdictLines(line, bootId)) {
      output.line(numbered);
      await output.flush();
    }
    facts.update({ isVerdictPrinted: true });
    const { onExit, poweroffDelayS } = facts.facts;
    const settings = job ? job.machine?.end : { poweroffDelayMs: poweroffDelayS * 1000 };
    await this.#endMachine(steps?.endsMachine ?? onExit, settings, steps?.variables ?? {});
  }

  /** `variables`: those of the pipeline, for the arguments of the farm's commands. */
  async #endMachine(
    mode: OnExit,
    { poweroffCommand, poweroffDelayMs: delayMs = 0, rebootCommand }: EndSettings = {},
    variables: Readonly<Record<string, string>>,
  ): Promise<void> {
    const { announcer, output, facts } = this.#context;
    if (mode === "reboot") announcer.rebooting();
    else announcer.poweringOff({ delayMs });
    await output.flush();
    facts.update({ isEndAnnounced: true });
    // The farm may cut the power from here on; nothing of value is left to write.
    if (mode !== "reboot") await this.#power.sleep(delayMs);
    let ends = mode;
    const commands = (mode === "reboot" ? rebootCommand : poweroffCommand) ?? `${mode} -f`;
    for (const { program, args } of parseEndCommands(commands, (name) => variables[name])) {
      announcer.commandRunning([program, ...args].join(" "));
      if (program === "echo") output.line(args.join(" "));
      if (program === "sleep") await this.#power.sleep(addSeconds(args) * 1000);
      if (program === "poweroff" || program === "reboot" || program === "halt") {
        ends = program;
        break;
      }
    }
    await output.close();
    if (ends !== "halt") {
      await this.#power.endMachine(ends);
      return;
    }
    // The watchdog would reset a halted machine. The supervisor holds it, and disarms it first.
    facts.update({ onExit: ends });
    this.#power.exit(0);
  }
}

function formatPhaseTable(verdict: Verdict, peakRssBytes: number): string {
  const rows = verdict.phases.map(({ name, outcome, durationMs }) => {
    return `  ${name.padEnd(10)}${outcome.padEnd(9)}${formatSeconds(durationMs).padStart(9)}`;
  });
  return ["phases:", ...rows, `  agent memory at its peak: ${(peakRssBytes / 1e6).toFixed(0)} MB`].join("\n");
}

/** Like `sleep`, which adds its arguments; invalid numbers count as 0. */
function addSeconds(args: readonly string[]): number {
  return args.reduce((sum, text) => sum + (Number(text) || 0), 0);
}
