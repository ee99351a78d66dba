/**
 * The file that tells the agent's supervisor (initrd/files/supervise-agent) what it must know to end the boot in the agent's place.
 * It is the shell's only source: no script reads the kernel command line.
 */
import { renameSync, writeFileSync } from "node:fs";
import type { SupervisorFacts } from "../job/supervisor-facts.ts";

export interface BootFacts extends SupervisorFacts {
  phase: string;
  isVerdictPrinted: boolean;
  /** The farm was told that the machine ends. */
  isEndAnnounced: boolean;
}

export class FactsFile {
  readonly #path: string;
  #facts: BootFacts;

  constructor(path: string, line: SupervisorFacts) {
    this.#path = path;
    this.#facts = { ...line, phase: "unknown", isVerdictPrinted: false, isEndAnnounced: false };
    this.update({});
  }

  get facts(): Readonly<BootFacts> {
    return this.#facts;
  }

  /** Never throws: where there is no room, the supervisor works with the previous facts. */
  update(changes: Partial<BootFacts>): void {
    this.#facts = { ...this.#facts, ...changes };
    try {
      writeFileSync(`${this.#path}.new`, formatFacts(this.#facts));
      renameSync(`${this.#path}.new`, this.#path);
    } catch {
      // /run is full. There is no better place to report it than the log, which this must not wait for.
    }
  }
}

/** Lines that a shell can source: every value is one of a fixed set, or a number. */
function formatFacts(facts: BootFacts): string {
  const values = {
    DIALECT: facts.dialect,
    ON_EXIT: facts.onExit,
    POWEROFF_DELAY_S: facts.poweroffDelayS,
    USES_WATCHDOG: facts.usesWatchdog,
    PHASE: facts.phase,
    VERDICT_PRINTED: facts.isVerdictPrinted,
    END_ANNOUNCED: facts.isEndAnnounced,
  };
  return Object.entries(values)
    .map(([name, value]) => `${name}=${value}\n`)
    .join("");
}
