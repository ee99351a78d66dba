/**
 * Every error the agent can end with: a stable code, what it means, who must act (the blame) and what to do (the hint).
 * The tables (agent/error-codes) are the documentation; tests and farms compare codes, never texts.
 */
import type { Blame } from "./error-codes/definition.ts";
import { FETCH_ERRORS } from "./error-codes/fetch.ts";
import { HOST_ERRORS } from "./error-codes/host.ts";
import { JOB_ERRORS } from "./error-codes/job.ts";
import { MACHINE_ERRORS } from "./error-codes/machine.ts";
import { ROOT_ERRORS } from "./error-codes/root.ts";
import { TEST_ERRORS } from "./error-codes/test.ts";

export { BLAMES, type Blame } from "./error-codes/definition.ts";

/** Exit code of a host command whose job ended in an error of ours; a test's own codes stay at or below 200. */
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
  /** What a reader of the log needs to place the error: offsets, attempts, URLs without secrets. */
  context?: Readonly<Record<string, string | number | boolean>>;
  /** Replaces the table's hint where the place of the error knows better. */
  hint?: string;
  cause?: unknown;
}

/** The one error class: `message` says what was tried and what came back. */
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
 * Anything thrown becomes an AgentError; what we did not foresee is a bug of ours and keeps its stack as the cause.
 * A full file system can be met by every write, so it is known here.
 */
export function toAgentError(thrown: unknown): AgentError {
  if (thrown instanceof AgentError) return thrown;
  const { code, syscall } = (thrown ?? {}) as { code?: unknown; syscall?: unknown };
  if (code === "ENOSPC" || code === "EDQUOT") {
    const message = `Cannot write any more: there is no room (${syscall ?? "a call"} gave ${code})`;
    return new AgentError("ROOT_NO_SPACE", message, { cause: thrown });
  }
  const text = thrown instanceof Error ? `${thrown.name}: ${thrown.message}` : String(thrown);
  return new AgentError("BUG_UNEXPECTED", `Cannot go on after an unforeseen error: ${text}`, {
    cause: thrown,
  });
}
