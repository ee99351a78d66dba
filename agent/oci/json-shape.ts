/**
 * Reads fields of untrusted JSON and checks their types.
 * `null` counts as absent: Go's encoders write it for empty lists and maps.
 */
import { AgentError, type ErrorCode } from "../errors.ts";

export type JsonObject = Readonly<Record<string, unknown>>;

export interface JsonReader {
  /** Throws with the document's code. */
  refuse(reason: string): never;
  optionalString(object: JsonObject, field: string): string | undefined;
  requiredString(object: JsonObject, field: string): string;
  optionalObject(object: JsonObject, field: string): JsonObject | undefined;
  optionalStrings(object: JsonObject, field: string): string[] | undefined;
  optionalObjects(object: JsonObject, field: string): JsonObject[] | undefined;
  optionalStringMap(object: JsonObject, field: string): Record<string, string>;
}

/** `what` names the document in messages. */
export function readJsonObject(
  bytes: Uint8Array,
  what: string,
  code: ErrorCode,
): { object: JsonObject; reader: JsonReader } {
  const reader = createJsonReader(what, code);
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

function createJsonReader(what: string, code: ErrorCode): JsonReader {
  const refuse = (reason: string): never => {
    throw new AgentError(code, `Cannot read ${what}: ${reason}`);
  };
  const read = <Value>(
    object: JsonObject,
    field: string,
    type: string,
    guard: (value: unknown) => value is Value,
  ): Value | undefined => {
    const value = Object.hasOwn(object, field) ? object[field] : undefined;
    if (value === undefined || value === null) return undefined;
    return guard(value) ? value : refuse(`"${field}" is not a ${type}`);
  };
  const isString = (value: unknown): value is string => typeof value === "string";
  const isList =
    <Item>(guard: (value: unknown) => value is Item) =>
    (value: unknown): value is Item[] =>
      Array.isArray(value) && value.every(guard);
  const isStringMap = (value: unknown): value is Record<string, string> =>
    isObject(value) && Object.values(value).every(isString);
  return {
    refuse,
    optionalString: (object, field) => read(object, field, "string", isString),
    requiredString: (object, field) =>
      read(object, field, "string", isString) ?? refuse(`"${field}" is missing`),
    optionalObject: (object, field) => read(object, field, "JSON object", isObject),
    optionalStrings: (object, field) => read(object, field, "list of strings", isList(isString)),
    optionalObjects: (object, field) => read(object, field, "list of objects", isList(isObject)),
    optionalStringMap: (object, field) => ({ ...read(object, field, "map of strings", isStringMap) }),
  };
}
