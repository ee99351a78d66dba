/**
 * A job file: what does not fit a command line, under the names of the options without `dut.`. Already decoded from JSON or
 * YAML; it becomes parameters, so that one table reads both.
 */
import { AgentError } from "../errors.ts";
import type { Parameter } from "./command-line.ts";
import { DUT_PREFIX } from "./dut-options-reader.ts";

/** Throws JOB_FILE_BAD: the file is one object, its values text, numbers, yes or no, or lists of text. */
export function readJobFile(content: unknown): Parameter[] {
  if (typeof content !== "object" || content === null || Array.isArray(content)) {
    throw new AgentError(
      "JOB_FILE_BAD",
      "Cannot read the job file: it is not one object of names and values",
    );
  }
  return Object.entries(content).flatMap(([key, value]) => {
    const name = key.startsWith(DUT_PREFIX) ? key : `${DUT_PREFIX}${key}`;
    return (Array.isArray(value) ? value : [value]).map((item) => {
      const text = formatValue(key, item);
      return { name, value: text, text: `${name}=${text}`, start: 0 };
    });
  });
}

function formatValue(key: string, value: unknown): string {
  if (typeof value === "string") return value;
  if (typeof value === "number") return String(value);
  if (typeof value === "boolean") return value ? "yes" : "no";
  throw new AgentError(
    "JOB_FILE_BAD",
    `Cannot read the job file: "${key}" is neither text, nor a list of texts`,
  );
}
