/**
 * The one place that runs phases: it names, times and logs each, enforces the job's limits, shows that it lives when nothing else
 * does, and keeps the record for the verdict. No phase prints its own start or end.
 */
import { AgentError, type ErrorCode, toAgentError } from "../errors.ts";
import type { JobLimits } from "../job/job.ts";
import type { PhaseName } from "../job/phase-names.ts";
import type { Log } from "../report/log/log.ts";
import { formatSeconds } from "../text.ts";
import type { EventBody } from "../wire/event.ts";
import type { PhaseRecord } from "../wire/verdict.ts";
import { ABORT_GRACE_MS, LIFE_SIGN_CHECK_MS, LIFE_SIGN_MS, OWN_LIMITS_MS } from "./limits.ts";

export interface PhaseContext {
  log: Log;
  /** Aborts with an AgentError as its reason when a limit of the job has passed. */
  signal: AbortSignal;
  /** Says what is waited for, in the signs of life, until the work is over. */
  during<T>(what: string, work: () => Promise<T>): Promise<T>;
}

export interface PhaseOptions {
  /** Somebody types at the console, who wants no sign of life between his words. */
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
  /** Of the job, as soon and as often as more of it is known; they hold for the phase under way too. */
  setLimits(limits: JobLimits): void;
  readonly records: readonly PhaseRecord[];
  readonly firstFailure: PhaseFailure | undefined;
}

export interface PhaseRunnerOptions {
  /** For the verdict. */
  bootId: string;
  log: Log;
  emit: (event: EventBody) => void;
  /** Called with the name before the phase starts, for init's last words should the agent die. */
  onStart: (name: PhaseName) => void;
  /** Called when the phase is over, before its end is told. */
  onEnd: (name: PhaseName) => void;
  /** How long nobody has seen anything new. */
  readSilenceMs: () => number;
  abortGraceMs?: number;
  lifeSignMs?: number;
}

/** A phase under way. */
interface Running {
  name: PhaseName;
  begunAt: number;
  limit: Alarm;
  isInteractive: boolean;
  waitsFor: string[];
}

export function createPhaseRunner(options: PhaseRunnerOptions): PhaseRunner {
  const { log, emit, lifeSignMs = LIFE_SIGN_MS } = options;
  const startedAt = performance.now();
  const deadline = new Alarm();
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
    if (limitMs !== undefined) limit.arm(begunAt + limitMs, () => phaseTimeout(name, limitMs));
  };

  const showLife = () => {
    if (!running || running.isInteractive || options.readSilenceMs() < lifeSignMs) return;
    const { name, begunAt, waitsFor, limit } = running;
    const doing = waitsFor.length === 0 ? "at work" : `waiting for ${waitsFor.join(" and ")}`;
    const isOwn = OWN_LIMITS_MS[name] !== undefined;
    const endsAt = Math.min(
      limit.at ?? Number.POSITIVE_INFINITY,
      (!isOwn && deadline.at) || Number.POSITIVE_INFINITY,
    );
    const left = Number.isFinite(endsAt) ? `, at most ${formatWhole(endsAt - performance.now())} more` : "";
    log.info(`${name}: ${doing}, ${formatWhole(performance.now() - begunAt)} so far${left}`);
  };
  setInterval(showLife, Math.min(LIFE_SIGN_CHECK_MS, lifeSignMs)).unref();

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
        deadline.arm(startedAt + timeoutMs, () => jobTimeout(running?.name ?? "end", timeoutMs));
      if (running) armLimit(running);
    },
    skip(name) {
      log.info(`${name}: nothing to do`);
      record(name, "skipped", 0);
    },
    async run(name, work, { isInteractive = false } = {}) {
      const begunAt = performance.now();
      const phase: Running = { name, begunAt, limit: new Alarm(), isInteractive, waitsFor: [] };
      const elapsedMs = () => Math.round(performance.now() - begunAt);
      running = phase;
      options.onStart(name);
      log.info(`${name}: started`);
      emit({ event: "phase_start", phase: name });
      armLimit(phase);
      // What must be tried even after the job's deadline has a limit of its own.
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

/** A moment at which a signal aborts; it can be moved until then. */
class Alarm {
  /** On performance.now()'s clock. */
  at: number | undefined;
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

function jobTimeout(phase: PhaseName, limitMs: number): AgentError {
  return timeoutError(phase === "run" ? "TEST_TIMEOUT" : "JOB_TIMEOUT", phase, limitMs);
}

function phaseTimeout(phase: PhaseName, limitMs: number): AgentError {
  return timeoutError(phase === "run" ? "TEST_TIMEOUT" : "PHASE_TIMEOUT", phase, limitMs);
}

function timeoutError(code: ErrorCode, phase: PhaseName, limitMs: number): AgentError {
  const limit = formatSeconds(limitMs);
  return new AgentError(code, `Cannot finish phase "${phase}": the limit of ${limit} has passed`);
}

function formatFailure(name: PhaseName, error: AgentError): string {
  const stack =
    error.code === "BUG_UNEXPECTED" && error.cause instanceof Error ? `\n${error.cause.stack}` : "";
  return `${name}: failed with ${error.code} (blame: ${error.blame}): ${error.message}. ${error.hint}${stack}`;
}

/** For people who wait: `31 s`, `12 min`. */
function formatWhole(durationMs: number): string {
  const seconds = Math.max(0, Math.round(durationMs / 1000));
  return seconds < 120 ? `${seconds} s` : `${Math.round(seconds / 60)} min`;
}
