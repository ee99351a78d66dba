/**
 * A job file: what does not fit a command line, in YAML 1.2 or JSON (which YAML contains), under the names of the options
 * without `dut.`. It becomes parameters, so that one table reads both; docs/job.schema.json describes it.
 */
import { type Document, isAlias, isMap, isScalar, isSeq, type Node, parseDocument, type Scalar } from "yaml";
import { AgentError } from "../errors.ts";
import { showValue } from "../redaction/patterns.ts";
import { findOption } from "./dut/options.ts";
import { DUT_PREFIX } from "./dut/read-options.ts";
import { JOB_FILE_MAX_BYTES } from "./limits.ts";
import type { Parameter } from "./syntax/command-line.ts";

/** Parameters in the order of the file; throws JOB_FILE_INVALID, whose message never shows a value of the file. */
export function parseJobFileText(text: string): Parameter[] {
  if (Buffer.byteLength(text) > JOB_FILE_MAX_BYTES)
    throw refuse(`it is larger than ${JOB_FILE_MAX_BYTES} bytes`);
  const document = parseDocument(text, { schema: "core", prettyErrors: false, logLevel: "error" });
  // A tag that it does not know is a warning for the library; what stands behind it would be taken for what it is not.
  const [error] = [...document.errors, ...document.warnings];
  if (error) {
    const line = text.slice(0, error.pos[0]).split("\n").length;
    throw refuse(`line ${line}: ${error.code.toLowerCase().replaceAll("_", " ")}`);
  }
  const content = document.contents;
  if (!isMap<Node, Node | null>(content)) throw refuse("it is not one object of names and values");
  return content.items.flatMap(({ key, value }) => {
    const name = isScalar(key) && typeof key.value === "string" ? key.value : undefined;
    if (name === undefined) throw refuse("a name in it is no text");
    return listTexts(name, value, document).map((item) => {
      const full = name.startsWith(DUT_PREFIX) ? name : `${DUT_PREFIX}${name}`;
      return { name: full, value: item, text: `${full}=${item}`, start: 0 };
    });
  });
}

function listTexts(name: string, node: Node | null, document: Document): string[] {
  const shown = showValue(name);
  const option = findOption(name.startsWith(DUT_PREFIX) ? name : `${DUT_PREFIX}${name}`);
  const resolve = (item: unknown) => (isAlias(item) ? item.resolve(document) : item);
  const asText = (item: unknown) => {
    const scalar = resolve(item);
    const text = isScalar(scalar) ? formatScalar(scalar) : undefined;
    if (text !== undefined) return text;
    throw refuse(`"${shown}" is neither text nor a list of texts`);
  };
  const value = resolve(node);
  if (isSeq(value)) {
    if (option && !option.isRepeatable) throw refuse(`"${shown}" takes one value, not a list`);
    return value.items.map(asText);
  }
  // NAME: VALUE reads better than NAME=VALUE where there are many.
  if (isMap(value) && option?.name === "dut.env")
    return value.items.map(({ key, value: item }) => `${asText(key)}=${asText(item)}`);
  return [asText(value)];
}

/** Numbers as they are written: a digest of digits alone is one for YAML, and must not be rounded. */
function formatScalar({ value, source }: Scalar): string | undefined {
  if (typeof value === "string") return value;
  if (typeof value === "boolean") return value ? "yes" : "no";
  return typeof value === "number" ? (source ?? String(value)) : undefined;
}

function refuse(why: string): AgentError {
  return new AgentError("JOB_FILE_INVALID", `Cannot read the job file: ${why}`);
}
