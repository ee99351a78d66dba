/**
 * Keeps secrets out of everything that leaves the DUT: values that were read as credentials are replaced wherever they turn up, in
 * our words and in the test's output; in our words whatever looks like a secret goes as well (agent/redaction/patterns.ts).
 */

import { REDACTION_HOLD_MS } from "./limits.ts";
import { hideSecrets } from "./patterns.ts";
import { listSecretForms } from "./secret-encodings.ts";
import { createSecretMatcher, type SecretMatcher } from "./secret-matcher.ts";

export interface Redaction {
  /** From now on `secret` does not appear in what comes out of here; a short one does (secret-forms.ts). */
  hide(secret: string): void;
  /** Known values alone: what looks like a secret may be a part of XML. In a file named as JSON, values alone. */
  redactFile(text: string, name: string): string;
  /** For words of ours: known values, and what looks like a secret. */
  clean(text: string): string;
  /** The same for each text in a value that can be JSON. */
  cleanValue<Value>(value: Value): Value;
  /** For output that comes in pieces: known values, also across their borders. */
  openFilter(onOutput: (chunk: Buffer) => void, options?: FilterOptions): OutputFilter;
}

export interface FilterOptions {
  /** Somebody types at it: what may be the beginning of a secret waits for the rest only so long. */
  isInteractive?: boolean;
}

export interface OutputFilter {
  write(chunk: Buffer): void;
  /** Nothing more comes; gives what was held back. */
  end(): void;
}

const HIDDEN = Buffer.from("[hidden]");

export function createRedaction(): Redaction {
  const forms = new Map<string, Buffer>();
  let matcher: SecretMatcher | undefined;

  const getMatcher = () => {
    if (forms.size > 0) matcher ??= createSecretMatcher([...forms.values()]);
    return matcher;
  };
  const redact = (text: string) => {
    const known = getMatcher();
    if (!known) return text;
    const bytes = Buffer.from(text);
    const clean = replaceAll(bytes, known);
    return clean === bytes ? text : clean.toString();
  };
  const clean = (text: string) => hideSecrets(redact(text));

  return {
    hide(secret) {
      for (const form of listSecretForms(secret)) forms.set(form.toString("latin1"), form);
      matcher = undefined;
    },
    clean,
    cleanValue: <Value>(value: Value) => mapTexts(value, clean) as Value,
    redactFile(text, name) {
      const value = name.endsWith(".json") ? readJson(text) : undefined;
      // A secret may be the name of a field, or a number.
      return value === undefined ? redact(text) : `${JSON.stringify(mapTexts(value, redact), null, 2)}\n`;
    },
    openFilter(onOutput, { isInteractive = false } = {}) {
      let held = Buffer.alloc(0);
      let timer: NodeJS.Timeout | undefined;
      const release = () => {
        clearTimeout(timer);
        timer = undefined;
        if (held.length === 0) return;
        const bytes = held;
        held = Buffer.alloc(0);
        onOutput(bytes);
      };
      return {
        write(chunk) {
          clearTimeout(timer);
          const known = getMatcher();
          if (!known) {
            release();
            onOutput(chunk);
            return;
          }
          const bytes = held.length > 0 ? Buffer.concat([held, chunk]) : chunk;
          const found = known.find(bytes);
          const openBytes = known.countOpen(bytes, found.at(-1)?.end ?? 0);
          // The chunk's memory is used again by whoever read it.
          held = Buffer.from(bytes.subarray(bytes.length - openBytes));
          const done = replace(bytes.subarray(0, bytes.length - openBytes), found);
          if (done.length > 0) onOutput(done);
          if (isInteractive && openBytes > 0) timer = setTimeout(release, REDACTION_HOLD_MS);
        },
        end: release,
      };
    },
  };
}

/** A value that can be JSON, with each text in it replaced; an error or a buffer stays what it is. */
function mapTexts(value: unknown, replaceText: (text: string) => string): unknown {
  if (typeof value === "string") return replaceText(value);
  if (Array.isArray(value)) return value.map((each) => mapTexts(each, replaceText));
  if (typeof value !== "object" || value === null || Object.getPrototypeOf(value) !== Object.prototype)
    return value;
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, mapTexts(each, replaceText)]));
}

function readJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function replaceAll(bytes: Buffer, known: SecretMatcher): Buffer {
  return replace(bytes, known.find(bytes));
}

/** The same buffer where there is nothing to replace. */
function replace(bytes: Buffer, found: readonly { start: number; end: number }[]): Buffer {
  if (found.length === 0) return bytes;
  const pieces: Buffer[] = [];
  let at = 0;
  for (const { start, end } of found) {
    pieces.push(bytes.subarray(at, start), HIDDEN);
    at = end;
  }
  return Buffer.concat([...pieces, bytes.subarray(at)]);
}
