/**
 * boot2container's values with sub-parameters: NAME first, then `key=value` or flags, separated by commas.
 * Unknown ones are only warned of, as the original does; under our own names they are errors.
 */

import { showValue } from "../../redaction/patterns.ts";
import { findNearestName } from "./nearest-name.ts";
import { ValueError } from "./values.ts";

export type Warn = (warning: string) => void;

export interface ReadingRules {
  warn: Warn;
  /** Of our own dialect: what is unknown is refused, and half a mirror is one. */
  isStrict: boolean;
}

export interface SubParameter {
  key: string;
  value: string | undefined;
}

export function splitSubParameters(text: string): { head: string; parameters: SubParameter[] } {
  const [head = "", ...words] = text.split(",");
  const parameters = words
    .filter((word) => word !== "")
    .map((word) => {
      const equals = word.indexOf("=");
      return equals === -1
        ? { key: word, value: undefined }
        : { key: word.slice(0, equals), value: word.slice(equals + 1) };
    });
  return { head, parameters };
}

export type SubReaders = Readonly<Record<string, (value: string, key: string) => void>>;

/** Values are asked for by readers that name their argument; flags take none. */
export function readSubParameters(
  parameters: readonly SubParameter[],
  readers: SubReaders,
  rules: ReadingRules,
): void {
  for (const { key, value } of parameters) {
    const reader = Object.hasOwn(readers, key) ? readers[key]! : undefined;
    if (!reader) {
      reportUnknownKey(`the parameter ${showValue(key)}`, Object.keys(readers), key, rules);
      continue;
    }
    if (reader.length > 0 && !value) throw new ValueError(`has "${key}" without a value`);
    reader(value ?? "", key);
  }
}

/** Throws ValueError where the rules are strict; `what` starts a sentence, and is no secret. */
export function reportUnknownKey(
  what: string,
  known: readonly string[],
  word: string,
  { warn, isStrict }: ReadingRules,
): void {
  const nearest = `the nearest known one is "${findNearestName(word, known)}"`;
  if (isStrict) throw new ValueError(`has ${what}, which is unknown; ${nearest}`);
  warn(`${what} is unknown and ignored; ${nearest}`);
}
