/**
 * Distinguishes failures of the container runtime from a test's exit code, by crun's log (`--log-format json`). The texts are those
 * of crun 1.8 to 1.21.
 */
import { readFileSync } from "node:fs";
import { AgentError } from "../../errors.ts";
import { RUNTIME_RECORD_MAX_BYTES } from "../limits.ts";

/** The program is missing, not executable, or for another architecture. */
const NOT_RUNNABLE =
  /^executable file|not executable|not a regular file|^open executable|^exec\b|exec format error/i;

export function describeRuntimeFailure(message: string, argv: readonly string[]): AgentError {
  if (!NOT_RUNNABLE.test(message)) {
    return new AgentError("RUN_CONTAINER_FAILED", `Cannot start the container: ${message}`);
  }
  return new AgentError("RUN_COMMAND_NOT_FOUND", `Cannot run "${argv[0]}" in the image: ${message}`);
}

/** The runtime writes to its log only when it fails itself. */
export function readRuntimeError(path: string): string | undefined {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch {
    return undefined; // no log
  }
  return text
    .split("\n")
    .map(parseRuntimeError)
    .findLast((message) => message !== undefined);
}

/**
 * When execve fails, crun has already closed its log and writes the record to the container's standard error. It counts only if it
 * is the whole output, because a test can print anything.
 */
export function createOpening() {
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  return {
    add(chunk: Buffer) {
      sizeBytes += chunk.length;
      if (sizeBytes <= RUNTIME_RECORD_MAX_BYTES) chunks.push(chunk);
    },
    readError: () =>
      sizeBytes <= RUNTIME_RECORD_MAX_BYTES
        ? parseRuntimeError(Buffer.concat(chunks).toString().trim())
        : undefined,
  };
}

/** crun's format on a terminal. */
const IN_COLOUR = /^\u001b\[1;31m(.*)\u001b\[0m$/;

function parseRuntimeError(line: string): string | undefined {
  try {
    const record = JSON.parse(line.replace(IN_COLOUR, "$1")) as { level?: string; msg?: string };
    return record.level === "error" ? (record.msg ?? line) : undefined;
  } catch {
    return undefined;
  }
}
