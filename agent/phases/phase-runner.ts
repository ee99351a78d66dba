/**
 * The one place that runs phases: it names, times and logs each, enforces the job's deadline and keeps the record for the verdict.
 * No phase prints its own start or end.
 */
import { AgentError, toAgentError } from "../errors.ts";
import type { PhaseName } from "../job/plan.ts";
import { ABORT_GRACE_MS } from "../limits.ts";
import type { Log } from "../report/log.ts";
import type { EventBody } from "../wire/event.ts";
import type { PhaseRecord } from "../wire/verdict.ts";

export interface PhaseContext {
  log: Log;
  /** Aborts with an AgentError as its reason when the job's deadline has passed. */
  signal: AbortSignal;
}

export interface PhaseOptions {
  /** Bounds a phase that must be tried even after the job's deadline, such as the upload. */
  ownLimitMs?: number;
}

/** An error of a phase, with the phase it ended. */
export interface PhaseFailure {
  phase: PhaseName;
  error: AgentError;
}

export interface PhaseRunner {
  /** Runs one phase; a failure is recorded and thrown on. */
  run<T>(name: PhaseName, work: (context: PhaseContext) => Promise<T>, options?: PhaseOptions): Promise<T>;
  skip(name: PhaseName): void;
  /** Starts the clock of `dut.timeout`; it counts from the start of the agent. */
  setDeadline(timeoutMs: number): void;
  readonly records: readonly PhaseRecord[];
  readonly firstFailure: PhaseFailure | undefined;
}

export interface PhaseRunnerOptions {
  log: Log;
  emit: (event: EventBody) => void;
  /** Called with the name before the phase starts, for init's last words should the agent die. */
  onStart: (name: PhaseName) => void;
  abortGraceMs?: number;
}

export function createPhaseRunner(options: PhaseRunnerOptions): PhaseRunner {
  const { log, emit } = options;
  const startedAt = performance.now();
  const deadline = new AbortController();
  const records: PhaseRecord[] = [];
  let firstFailure: PhaseFailure | undefined;
  let current: PhaseName = "machine";

  const record = (name: PhaseName, outcome: PhaseRecord["outcome"], durationMs: number) => {
    records.push({ name, outcome, durationMs });
    emit({ event: "phase_end", phase: name, outcome, durationMs });
  };

  return {
    records,
    get firstFailure() {
      return firstFailure;
    },
    setDeadline(timeoutMs) {
      const remainingMs = Math.max(0, timeoutMs - (performance.now() - startedAt));
      setTimeout(() => deadline.abort(timeoutError(current, timeoutMs)), remainingMs).unref();
    },
    skip(name) {
      log.info(`${name}: nothing to do`);
      record(name, "skipped", 0);
    },
    async run(name, work, { ownLimitMs } = {}) {
      const begunAt = performance.now();
      const elapsedMs = () => Math.round(performance.now() - begunAt);
      current = name;
      options.onStart(name);
      log.info(`${name}: started`);
      emit({ event: "phase_start", phase: name });
      const own = new AbortController();
      const timer = ownLimitMs && setTimeout(() => own.abort(timeoutError(name, ownLimitMs)), ownLimitMs);
      const signal = ownLimitMs ? own.signal : deadline.signal;
      try {
        const graceMs = options.abortGraceMs ?? ABORT_GRACE_MS;
        const result = await settleOrAbort(work({ log, signal }), signal, graceMs);
        record(name, "done", elapsedMs());
        log.info(`${name}: done in ${formatSeconds(elapsedMs())}`);
        return result;
      } catch (thrown) {
        const error = signal.aborted ? toAgentError(signal.reason) : toAgentError(thrown);
        firstFailure ??= { phase: name, error };
        record(name, "failed", elapsedMs());
        log.error(
          { code: error.code, blame: error.blame, context: error.context },
          formatFailure(name, error),
        );
        throw error;
      } finally {
        clearTimeout(timer || undefined);
      }
    },
  };
}

/** A phase that does not heed its signal is left behind after a grace, so that the verdict still comes. */
async function settleOrAbort<T>(work: Promise<T>, signal: AbortSignal, graceMs: number): Promise<T> {
  const abandoned = new Promise<never>((_resolve, reject) => {
    const giveUp = () => setTimeout(() => reject(toAgentError(signal.reason)), graceMs);
    if (signal.aborted) giveUp();
    else signal.addEventListener("abort", giveUp, { once: true });
  });
  const result = await Promise.race([work, abandoned]);
  if (signal.aborted) throw signal.reason;
  return result;
}

function timeoutError(phase: PhaseName, limitMs: number): AgentError {
  const code = phase === "run" ? "TEST_TIMEOUT" : "JOB_TIMEOUT";
  return new AgentError(
    code,
    `Cannot finish phase "${phase}": the limit of ${formatSeconds(limitMs)} has passed`,
  );
}

function formatFailure(name: PhaseName, error: AgentError): string {
  const stack =
    error.code === "BUG_UNEXPECTED" && error.cause instanceof Error ? `\n${error.cause.stack}` : "";
  return `${name}: failed with ${error.code} (blame: ${error.blame}): ${error.message}. ${error.hint}${stack}`;
}

export function formatSeconds(durationMs: number): string {
  return `${(durationMs / 1000).toFixed(1)} s`;
}
