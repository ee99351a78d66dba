/**
 * Every error the agent can end with: a stable code, who must act (the blame) and what to do (the hint).
 * The table is the documentation; tests and farms compare codes, never texts.
 */

/** Who must act. LAVA's error classes are the model: a farm may retry `infra`, and must never retry `test`. */
export const BLAMES = ["infra", "job", "test", "config", "bug"] as const;
export type Blame = (typeof BLAMES)[number];

/** Exit code of a host command whose job ended in an error of ours; a test's own codes stay at or below 200. */
export const EXIT_CODE_BY_BLAME: Readonly<Record<Blame, number>> = {
  infra: 201,
  job: 202,
  test: 203,
  config: 204,
  bug: 205,
};

interface ErrorDefinition {
  blame: Blame;
  hint: string;
}

const defineErrors = <Table extends Record<string, ErrorDefinition>>(table: Table) => table;

export const ERRORS = defineErrors({
  // job: the command line and what it asks for
  CMDLINE_UNKNOWN_OPTION: {
    blame: "job",
    hint: "Correct the option's name; `dutboot --help` lists all of them",
  },
  CMDLINE_BAD_VALUE: { blame: "job", hint: "Correct the option's value; `dutboot --help` shows an example" },
  CMDLINE_MISSING_OPTION: { blame: "job", hint: "Add the option to the kernel command line" },
  CMDLINE_UNTERMINATED_QUOTE: {
    blame: "job",
    hint: "Close the quote; the command line may also have been cut by the boot loader",
  },

  // the machine and its initrd
  INITRD_DAMAGED: {
    blame: "infra",
    hint: "Serve the initrd again, or give the machine more memory: a short unpack is silent",
  },
  AGENT_DIED: { blame: "bug", hint: "Report this with the full log" },
  BUG_UNEXPECTED: { blame: "bug", hint: "Report this with the full log" },
  TEST_TIMEOUT: {
    blame: "test",
    hint: "Raise dut.timeout, or find what hangs: the log ends where it stood",
  },
  JOB_TIMEOUT: {
    blame: "infra",
    hint: "Raise dut.timeout, or look at the phase table for what was slow: the test was not running",
  },
});

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

/** Anything thrown becomes an AgentError; what we did not foresee is a bug of ours and keeps its stack as the cause. */
export function toAgentError(thrown: unknown): AgentError {
  if (thrown instanceof AgentError) return thrown;
  const text = thrown instanceof Error ? `${thrown.name}: ${thrown.message}` : String(thrown);
  return new AgentError("BUG_UNEXPECTED", `Cannot go on after an unforeseen error: ${text}`, {
    cause: thrown,
  });
}
