/**
 * A job file: the options of a job under their names without `dut.`, in YAML 1.2 or its subset JSON. The table of options
 * reads its values as those of a command line; docs/job.schema.json describes it.
 */
import { type Document, isAlias, isMap, isScalar, isSeq, type Node, parseDocument } from "yaml";
import { AgentError } from "../errors.ts";
import { showValue } from "../redaction/patterns.ts";
import { DUT_PREFIX, findOption } from "./dut/options.ts";
import { JOB_FILE_MAX_BYTES } from "./limits.ts";
import type { Parameter } from "./syntax/command-line.ts";

/** In the order of the file. Throws JOB_FILE_INVALID; its message never shows a value of the file. */
export function parseJobFileText(text: string): Parameter[] {
  if (Buffer.byteLength(text) > JOB_FILE_MAX_BYTES)
    throw createFileError(`it is larger than ${JOB_FILE_MAX_BYTES} bytes`);
  const document = parseDocument(text, { schema: "core", prettyErrors: false, logLevel: "error" });
  // For the library an unknown tag is only a warning; its value would be read as something else.
  const [error] = [...document.errors, ...document.warnings];
  if (error) {
    const line = text.slice(0, error.pos[0]).split("\n").length;
    throw createFileError(`line ${line}: ${error.code.toLowerCase().replaceAll("_", " ")}`);
  }
  const content = document.contents;
  if (!isMap<Node, Node | null>(content)) throw createFileError("it is not one object of names and values");
  return content.items.flatMap(({ key, value }) => {
    if (!isScalar(key) || typeof key.value !== "string") throw createFileError("a name in it is not text");
    const name = key.value.startsWith(DUT_PREFIX) ? key.value : `${DUT_PREFIX}${key.value}`;
    return readValues(name, key.value, value, document).map((text) => ({ name, value: text }));
  });
}

/** The value of an option, or the items of its list. */
function readValues(name: string, key: string, node: Node | null, document: Document): string[] {
  const option = findOption(name);
  const resolve = (item: unknown) => (isAlias(item) ? item.resolve(document) : item);
  const readText = (item: unknown): string => {
    const scalar = resolve(item);
    const { value, source } = isScalar(scalar) ? scalar : {};
    if (typeof value === "string") return value;
    if (typeof value === "boolean") return value ? "yes" : "no";
    // As it is written: YAML takes a digest of digits for a number, which must not be rounded.
    if (typeof value === "number") return source ?? String(value);
    throw createFileError(`"${showValue(key)}" is neither text nor a list of texts`);
  };
  const value = resolve(node);
  if (isSeq(value)) {
    if (option && !option.isRepeatable)
      throw createFileError(`"${showValue(key)}" takes one value, not a list`);
    return value.items.map(readText);
  }
  if (isMap(value) && name === "dut.env")
    return value.items.map((item) => `${readText(item.key)}=${readText(item.value)}`);
  return [readText(value)];
}

function createFileError(reason: string): AgentError {
  return new AgentError("JOB_FILE_INVALID", `Cannot read the job file: ${reason}`);
}
