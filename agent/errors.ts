/**
 * All errors that the agent can end with: a stable code, its meaning, who must act (the blame) and what to do (the hint).
 * The documentation is generated from the tables in agent/error-codes. Tests and farms compare codes, never texts.
 */
import type { Blame } from "./error-codes/definition.ts";
import { FETCH_ERRORS } from "./error-codes/fetch.ts";
import { HOST_ERRORS } from "./error-codes/host.ts";
import { JOB_ERRORS } from "./error-codes/job.ts";
import { MACHINE_ERRORS } from "./error-codes/machine.ts";
import { ROOT_ERRORS } from "./error-codes/root.ts";
import { TEST_ERRORS } from "./error-codes/test.ts";

export { BLAMES, type Blame } from "./error-codes/definition.ts";

/** Exit code of a host command when the job ends with one of our errors; a test's own codes are at most 200. */
export const EXIT_CODE_BY_BLAME: Readonly<Record<Blame, number>> = {
  infra: 201,
  job: 202,
  test: 203,
  config: 204,
  bug: 205,
};

export const ERRORS = {
  ...JOB_ERRORS,
  ...MACHINE_ERRORS,
  ...FETCH_ERRORS,
  ...ROOT_ERRORS,
  ...TEST_ERRORS,
  ...HOST_ERRORS,
} as const;

export type ErrorCode = keyof typeof ERRORS;

export interface AgentErrorOptions {
  /** Details for the log: offsets, attempts, URLs without secrets. */
  context?: Readonly<Record<string, string | number | boolean>>;
  /** Replaces the table's hint. */
  hint?: string;
  cause?: unknown;
}

/** `message` says what was tried and what came back: "Cannot DO: REASON". */
export class AgentError extends Error {
  readonly code: ErrorCode;
  readonly blame: Blame;
  readonly hint: string;
  readonly context: Readonly<Record<string, string | number | boolean>>;

  constructor(code: ErrorCode, message: string, options: AgentErrorOptions = {}) {
    super(message, { cause: options.cause });
    this.name = "AgentError";
    this.code = code;
    this.blame = ERRORS[code].blame;
    this.hint = options.hint ?? ERRORS[code].hint;
    this.context = options.context ?? {};
  }
}

/**
 * Converts anything thrown to an AgentError. An unexpected error is a bug of ours and is kept as the cause, with its stack.
 * A full file system is recognised here, because every write can meet it.
 */
export function toAgentError(thrown: unknown): AgentError {
  if (thrown instanceof AgentError) return thrown;
  const { code, syscall } = (thrown ?? {}) as { code?: unknown; syscall?: unknown };
  if (code === "ENOSPC" || code === "EDQUOT") {
    const message = `Cannot write: no space left (${syscall ?? "a call"} failed with ${code})`;
    return new AgentError("ROOT_NO_SPACE", message, { cause: thrown });
  }
  const text = thrown instanceof Error ? `${thrown.name}: ${thrown.message}` : String(thrown);
  return new AgentError("BUG_UNEXPECTED", `Cannot continue after an unexpected error: ${text}`, {
    cause: thrown,
  });
}
