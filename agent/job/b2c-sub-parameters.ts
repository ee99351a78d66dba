/**
 * boot2container's values with sub-parameters: NAME first, then `key=value` or flags, separated by commas.
 * Unknown ones are only warned of, as the original does.
 */
import { findNearestName } from "./nearest-name.ts";
import { ValueError } from "./option-values.ts";
import { showValue } from "./redact.ts";

export type Warn = (warning: string) => void;

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
  warn: Warn,
): void {
  for (const { key, value } of parameters) {
    const reader = Object.hasOwn(readers, key) ? readers[key]! : undefined;
    if (!reader) {
      const near = findNearestName(key, Object.keys(readers));
      warn(`the parameter ${showValue(key)} is unknown and ignored; the nearest known one is "${near}"`);
      continue;
    }
    if (reader.length > 0 && !value) throw new ValueError(`has "${key}" without a value`);
    reader(value ?? "", key);
  }
}
