/**
 * Values of the form `NAME,key=value,flag`, as boot2container has them.
 * Unknown keys are an error in our own options; for boot2container's options they are ignored with a warning, as it does.
 */
import { showValue } from "../../redaction/patterns.ts";
import { findNearestName } from "./nearest-name.ts";
import { ValueError } from "./values.ts";

export interface ReadingRules {
  warn: (warning: string) => void;
  /** The option is one of ours: mistakes are errors. */
  isStrict: boolean;
}

export interface SubParameters {
  /** The text before the first comma. */
  head: string;
  has(flag: string): boolean;
  /** All values of a key. */
  all(key: string): string[];
  /** The last value that any of these keys has. */
  last(...keys: string[]): string | undefined;
}

/** Throws ValueError; keys of `values` need a value, those of `flags` do not. */
export function readSubParameters(
  text: string,
  { values = [], flags = [] }: { values?: readonly string[]; flags?: readonly string[] },
  rules: ReadingRules,
): SubParameters {
  const { isStrict, warn } = rules;
  const [head = "", ...words] = text.split(",");
  const entries = words.flatMap((word) => {
    const [key = "", ...rest] = word.split("=");
    const value = rest.join("=");
    if (word === "") return [];
    if (values.includes(key) && value === "") {
      // A key that is missing must not leave data unencrypted.
      if (isStrict || key.endsWith("_key")) throw new ValueError(`has "${key}" without a value`);
      warn(`"${key}" has no value and is ignored`);
      return [];
    }
    if (values.includes(key) || flags.includes(key)) return { key, value };
    reportUnknownName(`the parameter ${showValue(key)}`, [...values, ...flags], key, rules);
    return [];
  });
  return {
    head,
    has: (flag) => entries.some(({ key }) => key === flag),
    all: (name) => entries.filter(({ key }) => key === name).map(({ value }) => value),
    last: (...keys) => entries.findLast(({ key }) => keys.includes(key))?.value,
  };
}

/** Throws ValueError where the rules are strict, else warns. `what` shows the name and starts a sentence. */
export function reportUnknownName(
  what: string,
  known: readonly string[],
  name: string,
  { warn, isStrict }: ReadingRules,
): void {
  const nearest = `the nearest known one is "${findNearestName(name, known)}"`;
  if (isStrict) throw new ValueError(`has ${what}, which is unknown; ${nearest}`);
  warn(`${what} is unknown and ignored; ${nearest}`);
}
