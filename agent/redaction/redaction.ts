/**
 * Keeps secrets out of everything that leaves the DUT. Values that were read as credentials are replaced wherever they appear, in the
 * agent's messages and in the test's output; in the agent's messages so is everything that looks like a secret (patterns.ts).
 */
import { hideSecrets } from "./patterns.ts";
import { listSecretForms } from "./secret-encodings.ts";
import { SecretMatcher } from "./secret-matcher.ts";

export interface OutputFilter {
  write(chunk: Buffer): void;
  /** Passes on what was held back. */
  end(): void;
}

const HIDDEN = Buffer.from("[hidden]");
/** For a user at a shell, how long output is held back that may be the start of a secret. */
const INTERACTIVE_HOLD_MS = 50;

export type Redaction = ReturnType<typeof createRedaction>;

export function createRedaction() {
  const forms = new Map<string, Buffer>();
  let matcher: SecretMatcher | undefined;

  const redact = (text: string) => {
    if (!matcher) return text;
    const bytes = Buffer.from(text);
    const clean = replace(bytes, matcher.find(bytes));
    return clean === bytes ? text : clean.toString();
  };
  const clean = (text: string) => hideSecrets(redact(text));

  return {
    /** Hides `secret` from now on, unless it is very short (secret-encodings.ts). */
    hide(secret: string) {
      for (const form of listSecretForms(secret)) forms.set(form.toString("latin1"), form);
      matcher = forms.size > 0 ? new SecretMatcher([...forms.values()]) : undefined;
    },

    /** For the agent's messages: known values, and what looks like a secret. */
    clean,

    /** The same for each string in a value that can be JSON. */
    cleanValue: <Value>(value: Value) => mapStrings(value, clean) as Value,

    /** For files: known values only, as what looks like a secret may be a part of XML. In JSON only strings are replaced. */
    redactFile(text: string, name: string): string {
      const value = name.endsWith(".json") ? parseJson(text) : undefined;
      // A secret may be equal to the name of a field, or to a number.
      return value === undefined ? redact(text) : `${JSON.stringify(mapStrings(value, redact), null, 2)}\n`;
    },

    /** For output in chunks: known values, also across the chunks' borders. */
    openFilter(onOutput: (chunk: Buffer) => void, { isInteractive = false } = {}): OutputFilter {
      let held = Buffer.alloc(0);
      let timer: NodeJS.Timeout | undefined;
      const release = () => {
        clearTimeout(timer);
        if (held.length === 0) return;
        const bytes = held;
        held = Buffer.alloc(0);
        onOutput(bytes);
      };
      return {
        write(chunk) {
          clearTimeout(timer);
          if (!matcher) {
            release();
            onOutput(chunk);
            return;
          }
          const bytes = held.length > 0 ? Buffer.concat([held, chunk]) : chunk;
          const found = matcher.find(bytes);
          const openBytes = matcher.countOpen(bytes, found.at(-1)?.end ?? 0);
          // A copy: the reader reuses the chunk's memory.
          held = Buffer.from(bytes.subarray(bytes.length - openBytes));
          const done = replace(bytes.subarray(0, bytes.length - openBytes), found);
          if (done.length > 0) onOutput(done);
          if (isInteractive && openBytes > 0) timer = setTimeout(release, INTERACTIVE_HOLD_MS);
        },
        end: release,
      };
    },
  };
}

/** Replaces each string in a plain value; an Error or a Buffer is returned as it is. */
function mapStrings(value: unknown, replaceText: (text: string) => string): unknown {
  if (typeof value === "string") return replaceText(value);
  if (Array.isArray(value)) return value.map((each) => mapStrings(each, replaceText));
  if (typeof value !== "object" || value === null || Object.getPrototypeOf(value) !== Object.prototype)
    return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, each]) => [name, mapStrings(each, replaceText)]),
  );
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Returns the same buffer when there is nothing to replace. */
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
