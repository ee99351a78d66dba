/**
 * The one way from what is printed to those who read it. The test's output is redacted once and goes to the consoles, the network log, the
 * full log and the step's own log. The agent's lines go the same way, but wait until the test's current line ends, for a bounded time:
 * a line that farms match must not be broken in two.
 */
import type { Redaction } from "../redaction/redaction.ts";
import type { Console } from "./console/console.ts";
import { OUTPUT_HOLD_MS } from "./limits.ts";
import type { LogFile } from "./log/log-file.ts";
import type { NetworkLog } from "./network-log/network-log.ts";

export interface OutputBusOptions {
  console: Console;
  networkLog: Pick<NetworkLog, "line" | "output" | "endOutput" | "close">;
  /** Gets everything at once: it is what is left of a machine that hangs. */
  logFile: Pick<LogFile, "write">;
  redaction: Pick<Redaction, "clean" | "openFilter">;
  holdMs?: number;
}

export interface StepOutputOptions {
  /** The output of services goes to the log files only. */
  isService: boolean;
  /** A user types at the console: it gets bytes as they come. */
  isInteractive: boolean;
  /** The step's own log among the results. */
  log?: Pick<LogFile, "write" | "close">;
}

export interface StepOutput {
  write(chunk: Buffer): void;
  /** The step is over. */
  end(): void;
}

const LINE_END = 0x0a;

export class OutputBus {
  readonly #options: OutputBusOptions;
  #held: (() => void)[] = [];
  #holdTimer: NodeJS.Timeout | undefined;
  #isMidLine = false;
  #shownAt = performance.now();

  constructor(options: OutputBusOptions) {
    this.#options = options;
  }

  /** Shows a line of the agent. */
  line(text: string): void {
    const { console: console_, networkLog, redaction } = this.#options;
    const clean = redaction.clean(text);
    this.#hold(() => {
      this.#shownAt = performance.now();
      console_.line(clean);
      networkLog.line(clean);
    });
  }

  /** Shows a line of the agent and writes it to the full log. */
  logLine(text: string): void {
    this.#options.logFile.write(`${this.#options.redaction.clean(text)}\n`);
    this.line(text);
  }

  /** For the network log alone: consoles get the kernel's messages from the kernel. */
  kernelLine(text: string): void {
    this.#hold(() => this.#options.networkLog.line(text, "kernel"));
  }

  openStep({ isService, isInteractive, log }: StepOutputOptions): StepOutput {
    const { console: console_, networkLog, logFile, redaction } = this.#options;
    const onOutput = (chunk: Buffer) => {
      log?.write(chunk);
      logFile.write(chunk);
      if (!isService) this.#show(chunk);
    };
    const filter = redaction.openFilter(onOutput, { isInteractive });
    if (!isService) console_.beginOutput({ isInteractive });
    return {
      write: filter.write,
      end: () => {
        filter.end();
        log?.close();
        if (isService) return;
        console_.endOutput();
        networkLog.endOutput();
        this.#isMidLine = false;
        this.#release();
      },
    };
  }

  /** Time since anything was shown. */
  readSilenceMs(): number {
    return performance.now() - this.#shownAt;
  }

  /** Resolves when the consoles have everything. */
  async flush(): Promise<void> {
    this.#release();
    await this.#options.console.flush();
  }

  async close(): Promise<void> {
    await Promise.all([this.flush(), this.#options.networkLog.close()]);
  }

  #show(chunk: Buffer): void {
    const lineEnd = this.#held.length > 0 ? chunk.indexOf(LINE_END) + 1 : 0;
    if (lineEnd > 0 && lineEnd < chunk.length) {
      this.#show(chunk.subarray(0, lineEnd));
      this.#show(chunk.subarray(lineEnd));
      return;
    }
    this.#shownAt = performance.now();
    this.#options.console.output(chunk);
    this.#options.networkLog.output(chunk);
    this.#isMidLine = chunk.at(-1) !== LINE_END;
    if (!this.#isMidLine) this.#release();
  }

  #hold(send: () => void): void {
    this.#held.push(send);
    if (!this.#isMidLine) this.#release();
    else this.#holdTimer ??= setTimeout(() => this.#release(), this.#options.holdMs ?? OUTPUT_HOLD_MS);
  }

  #release(): void {
    clearTimeout(this.#holdTimer);
    this.#holdTimer = undefined;
    for (const send of this.#held.splice(0)) send();
  }
}
