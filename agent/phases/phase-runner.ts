/**
 * Runs the phases: logs and times each, enforces the job's limits, prints a progress line when the console is silent, and keeps
 * the records for the verdict. Phases do not print their own start or end.
 */
import { AgentError, type ErrorCode, toAgentError } from "../errors.ts";
import type { JobLimits, PhaseName } from "../job/job.ts";
import type { Log } from "../report/log/log.ts";
import { formatSeconds } from "../text.ts";
import type { EventBody } from "../wire/event.ts";
import type { PhaseRecord } from "../wire/verdict.ts";
import { ABORT_GRACE_MS, OWN_LIMITS_MS, PROGRESS_CHECK_MS, PROGRESS_SILENCE_MS } from "./limits.ts";

export interface PhaseContext {
  log: Log;
  /** Aborts with an AgentError as its reason when a limit of the job has passed. */
  signal: AbortSignal;
  /** Names what the phase waits for in its progress lines, until the work is done. */
  during<T>(what: string, work: () => Promise<T>): Promise<T>;
}

export interface PhaseOptions {
  /** A user types at the console: no progress lines. */
  isInteractive?: boolean;
}

/** An error of a phase, with the phase it ended. */
export interface PhaseFailure {
  phase: PhaseName;
  error: AgentError;
}

export interface PhaseRunner {
  readonly bootId: string;
  /** Runs one phase; a failure is recorded and thrown on. */
  run<T>(name: PhaseName, work: (context: PhaseContext) => Promise<T>, options?: PhaseOptions): Promise<T>;
  skip(name: PhaseName): void;
  /** Called whenever more of the job is known; the limits apply to the present phase too. */
  setLimits(limits: JobLimits): void;
  readonly records: readonly PhaseRecord[];
  readonly firstFailure: PhaseFailure | undefined;
}

export interface PhaseRunnerOptions {
  bootId: string;
  log: Log;
  emit: (event: EventBody) => void;
  /** Called before the phase starts, so that the supervisor can name it if the agent dies. */
  onStart: (name: PhaseName) => void;
  /** Called when the phase is over, before its end is logged. */
  onEnd: (name: PhaseName) => void;
  /** Time since the last output on the console. */
  readSilenceMs: () => number;
  abortGraceMs?: number;
  progressSilenceMs?: number;
}

interface Running {
  name: PhaseName;
  begunAt: number;
  limit: Deadline;
  isInteractive: boolean;
  waitsFor: string[];
}

export function createPhaseRunner(options: PhaseRunnerOptions): PhaseRunner {
  const { log, emit, progressSilenceMs = PROGRESS_SILENCE_MS } = options;
  const startedAt = performance.now();
  const deadline = new Deadline();
  const records: PhaseRecord[] = [];
  let limits: JobLimits = {};
  let firstFailure: PhaseFailure | undefined;
  let running: Running | undefined;

  const record = (name: PhaseName, outcome: PhaseRecord["outcome"], durationMs: number) => {
    records.push({ name, outcome, durationMs });
    emit({ event: "phase_end", phase: name, outcome, durationMs });
  };

  const armLimit = ({ name, begunAt, limit }: Running) => {
    const limitMs = limits.phasesMs?.[name] ?? OWN_LIMITS_MS[name];
    if (limitMs !== undefined)
      limit.arm(begunAt + limitMs, () => createTimeoutError("PHASE_TIMEOUT", name, limitMs));
  };

  const showProgress = () => {
    if (!running || running.isInteractive || options.readSilenceMs() < progressSilenceMs) return;
    const { name, begunAt, waitsFor, limit } = running;
    const doing = waitsFor.length === 0 ? "at work" : `waiting for ${waitsFor.join(" and ")}`;
    const isOwn = OWN_LIMITS_MS[name] !== undefined;
    const endsAt = Math.min(limit.at, isOwn ? Number.POSITIVE_INFINITY : deadline.at);
    const left = Number.isFinite(endsAt) ? `, at most ${formatWhole(endsAt - performance.now())} more` : "";
    log.info(`${name}: ${doing}, ${formatWhole(performance.now() - begunAt)} so far${left}`);
  };
  setInterval(showProgress, Math.min(PROGRESS_CHECK_MS, progressSilenceMs)).unref();

  return {
    bootId: options.bootId,
    records,
    get firstFailure() {
      return firstFailure;
    },
    setLimits(given) {
      limits = given;
      const { timeoutMs } = limits;
      if (timeoutMs !== undefined)
        deadline.arm(startedAt + timeoutMs, () =>
          createTimeoutError("JOB_TIMEOUT", running?.name ?? "end", timeoutMs),
        );
      if (running) armLimit(running);
    },
    skip(name) {
      log.info(`${name}: nothing to do`);
      record(name, "skipped", 0);
    },
    async run(name, work, { isInteractive = false } = {}) {
      const begunAt = performance.now();
      const phase: Running = { name, begunAt, limit: new Deadline(), isInteractive, waitsFor: [] };
      const elapsedMs = () => Math.round(performance.now() - begunAt);
      running = phase;
      options.onStart(name);
      log.info(`${name}: started`);
      emit({ event: "phase_start", phase: name });
      armLimit(phase);
      // A phase that must be tried even after the job's deadline has only its own limit.
      const isOwn = OWN_LIMITS_MS[name] !== undefined;
      const signal = isOwn ? phase.limit.signal : AbortSignal.any([deadline.signal, phase.limit.signal]);
      const context = { log, signal, during: createDuring(phase.waitsFor) };
      try {
        const graceMs = options.abortGraceMs ?? ABORT_GRACE_MS;
        const result = await settleOrAbort(work(context), signal, graceMs);
        options.onEnd(name);
        record(name, "done", elapsedMs());
        log.info(`${name}: done in ${formatSeconds(elapsedMs())}`);
        return result;
      } catch (thrown) {
        const error = signal.aborted ? toAgentError(signal.reason) : toAgentError(thrown);
        firstFailure ??= { phase: name, error };
        options.onEnd(name);
        record(name, "failed", elapsedMs());
        log.error(
          { code: error.code, blame: error.blame, context: error.context },
          formatFailure(name, error),
        );
        throw error;
      } finally {
        phase.limit.disarm();
        running = undefined;
      }
    },
  };
}

/** Aborts a signal at a time that can still be moved. */
class Deadline {
  /** As performance.now() counts. */
  at = Number.POSITIVE_INFINITY;
  readonly #controller = new AbortController();
  #timer: NodeJS.Timeout | undefined;

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  arm(at: number, makeReason: () => AgentError): void {
    this.disarm();
    this.at = at;
    this.#timer = setTimeout(() => this.#controller.abort(makeReason()), Math.max(0, at - performance.now()));
    this.#timer.unref();
  }

  disarm(): void {
    clearTimeout(this.#timer);
  }
}

function createDuring(waitsFor: string[]): PhaseContext["during"] {
  return async (what, work) => {
    waitsFor.push(what);
    try {
      return await work();
    } finally {
      waitsFor.splice(waitsFor.indexOf(what), 1);
    }
  };
}

/** Abandons a phase that ignores its signal after a grace period, so that the verdict still comes. */
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

function createTimeoutError(code: ErrorCode, phase: PhaseName, limitMs: number): AgentError {
  return new AgentError(
    phase === "run" ? "TEST_TIMEOUT" : code,
    `Cannot finish phase "${phase}": the limit of ${formatSeconds(limitMs)} has passed`,
  );
}

function formatFailure(name: PhaseName, error: AgentError): string {
  const stack =
    error.code === "BUG_UNEXPECTED" && error.cause instanceof Error ? `\n${error.cause.stack}` : "";
  return `${name}: failed with ${error.code} (blame: ${error.blame}): ${error.message}. ${error.hint}${stack}`;
}

/** `31 s`, `12 min`. */
function formatWhole(durationMs: number): string {
  const seconds = Math.max(0, Math.round(durationMs / 1000));
  return seconds < 120 ? `${seconds} s` : `${Math.round(seconds / 60)} min`;
}
