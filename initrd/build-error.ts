/**
 * The one error of the builder: what was tried, what came back, what to do.
 * Host side only; the agent's own table of codes does not apply here.
 */

export class BuildError extends Error {
  readonly hint: string | undefined;

  constructor(message: string, options: { hint?: string; cause?: unknown } = {}) {
    super(options.hint ? `${message}\n  ${options.hint}` : message, { cause: options.cause });
    this.name = "BuildError";
    this.hint = options.hint;
  }
}
