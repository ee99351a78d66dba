/**
 * Reads fields of untrusted JSON and checks their types.
 * `null` counts as absent: Go's encoders write it for empty lists and maps.
 */
import { AgentError, type ErrorCode } from "../errors.ts";

export type JsonObject = Readonly<Record<string, unknown>>;

/** `what` names the document in messages. */
export function readJsonObject(
  bytes: Uint8Array,
  what: string,
  code: ErrorCode,
): { object: JsonObject; reader: JsonReader } {
  const reader = new JsonReader(what, code);
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (cause) {
    throw new AgentError(code, `Cannot read ${what}: it is not JSON`, { cause });
  }
  return isObject(value) ? { object: value, reader } : reader.refuse("it is not a JSON object");
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

const isString = (value: unknown): value is string => typeof value === "string";
const isStrings = (value: unknown): value is string[] => Array.isArray(value) && value.every(isString);
const isObjects = (value: unknown): value is JsonObject[] => Array.isArray(value) && value.every(isObject);
const isStringMap = (value: unknown): value is Record<string, string> =>
  isObject(value) && Object.values(value).every(isString);

export class JsonReader {
  readonly #what: string;
  readonly #code: ErrorCode;

  constructor(what: string, code: ErrorCode) {
    this.#what = what;
    this.#code = code;
  }

  /** Throws with the document's code. */
  refuse(reason: string): never {
    throw new AgentError(this.#code, `Cannot read ${this.#what}: ${reason}`);
  }

  #read<Value>(object: JsonObject, field: string, type: string, guard: (value: unknown) => value is Value) {
    const value = Object.hasOwn(object, field) ? (object[field] ?? undefined) : undefined;
    if (value === undefined || guard(value)) return value;
    return this.refuse(`"${field}" is not a ${type}`);
  }

  optionalString = (object: JsonObject, field: string) => this.#read(object, field, "string", isString);
  requiredString = (object: JsonObject, field: string) =>
    this.optionalString(object, field) ?? this.refuse(`"${field}" is missing`);
  optionalObject = (object: JsonObject, field: string) => this.#read(object, field, "JSON object", isObject);
  optionalStrings = (object: JsonObject, field: string) =>
    this.#read(object, field, "list of strings", isStrings);
  optionalObjects = (object: JsonObject, field: string) =>
    this.#read(object, field, "list of objects", isObjects);
  optionalStringMap = (object: JsonObject, field: string): Record<string, string> => ({
    ...this.#read(object, field, "map of strings", isStringMap),
  });
}
