/**
 * The builder's error class: what was tried, what came back, what to do.
 * Used on the host only, so it has no code of agent/error-codes.
 */

export class BuildError extends Error {
  readonly hint: string | undefined;

  constructor(message: string, options: { hint?: string; cause?: unknown } = {}) {
    super(options.hint ? `${message}\n  ${options.hint}` : message, { cause: options.cause });
    this.name = "BuildError";
    this.hint = options.hint;
  }
}
