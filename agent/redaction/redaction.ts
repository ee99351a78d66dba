/**
 * Keeps secrets out of everything that leaves the DUT. Values that were read as credentials are replaced wherever they appear, in the
 * agent's messages and in the test's output; in the agent's messages so is everything that looks like a secret (patterns.ts).
 */
import { hideSecrets } from "./patterns.ts";

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

/** Replacing shorter values would garble ordinary text. */
const SECRET_MIN_BYTES = 6;

/** Empty for a secret that is too short. */
function listSecretForms(secret: string): Buffer[] {
  const pieces = [secret, ...secret.split(/\r?\n/).map((line) => line.trim())];
  // The first and last lines of keys are the same in all keys.
  const texts = pieces.filter((piece) => isLongEnough(piece) && !piece.startsWith("-----"));
  const whole = isLongEnough(secret) && secret.includes("\n") ? [secret] : [];
  const forms = new Set([...texts, ...whole].flatMap(listForms));
  return [...forms].filter(isLongEnough).map((form) => Buffer.from(form));
}

const isLongEnough = (text: string) => Buffer.byteLength(text) >= SECRET_MIN_BYTES;

function listForms(text: string): string[] {
  // encodeURIComponent throws for half a surrogate pair.
  const url = encodeURIComponent(text.toWellFormed());
  return [
    text,
    url,
    url.replace(/%[0-9A-F]{2}/g, (escaped) => escaped.toLowerCase()),
    url.replaceAll("%20", "+"),
    JSON.stringify(text).slice(1, -1),
    text.replace(/[&<>"']/g, (character) => HTML[character]!),
    text.replace(/[<>&"\t\n\r]/g, (character) => `&#${character.charCodeAt(0)};`),
    ...listBase64(Buffer.from(text)),
  ];
}

const HTML: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

/**
 * In a larger text, such as `user:SECRET`, a secret starts at one of three offsets within a group of three bytes. Characters that also
 * depend on the bytes around it are cut off.
 */
function listBase64(bytes: Buffer): string[] {
  return [0, 1, 2].flatMap((offset) => {
    const text = Buffer.concat([Buffer.alloc(offset), bytes]).toString("base64url");
    const first = Math.ceil((offset * 8) / 6);
    const last = Math.floor(((offset + bytes.length) * 8) / 6);
    const certain = text.slice(first, last);
    return [certain, certain.replaceAll("-", "+").replaceAll("_", "/")];
  });
}

/**
 * Finds byte strings in bytes with the shift table of Wu and Manber ("A fast algorithm for multi-pattern searching", 1994): 50 MB of output
 * against 50 secrets in all their forms take 0.03 s, where a RegExp takes 0.5 s.
 */

class SecretMatcher {
  /** The longest needles of each first byte come first. */
  readonly #byFirst: Buffer[][] = Array.from({ length: 256 }, () => []);
  readonly #shortest: number;
  readonly #longest: number;
  /** By the last two bytes of a window as long as the shortest needle: how far the search can skip. */
  readonly #shifts: Uint8Array;
  /** The bytes that are in any needle; others, such as line ends, rule out a partial match. */
  readonly #isUsed = new Uint8Array(256);

  /** At least one needle, each of at least two bytes. */
  constructor(needles: readonly Buffer[]) {
    this.#shortest = Math.min(...needles.map(({ length }) => length), 256);
    this.#longest = Math.max(...needles.map(({ length }) => length));
    const window = this.#shortest;
    this.#shifts = new Uint8Array(0x10000).fill(window - 1);
    for (const needle of needles.toSorted((a, b) => b.length - a.length)) {
      for (let at = 0; at <= window - 2; at++) {
        const block = (needle[at]! << 8) | needle[at + 1]!;
        this.#shifts[block] = Math.min(this.#shifts[block]!, window - 2 - at);
      }
      for (const byte of needle) this.#isUsed[byte] = 1;
      this.#byFirst[needle[0]!]!.push(needle);
    }
  }

  /** The leftmost, longest matches, in order and without overlaps. */
  find(bytes: Buffer): { start: number; end: number }[] {
    const found: { start: number; end: number }[] = [];
    const shifts = this.#shifts;
    const window = this.#shortest;
    for (let at = 0; at + window <= bytes.length; ) {
      const shift = shifts[(bytes[at + window - 2]! << 8) | bytes[at + window - 1]!]!;
      if (shift > 0) {
        at += shift;
        continue;
      }
      const rest = bytes.length - at;
      const start = at;
      const needle = this.#byFirst[bytes[at]!]!.find(
        (each) => each.length <= rest && agrees(each, bytes, start, each.length),
      );
      if (needle) found.push({ start, end: start + needle.length });
      at += needle?.length ?? 1;
    }
    return found;
  }

  /** How many of the last bytes, from `from` on, may be the start of a match. */
  countOpen(bytes: Buffer, from: number): number {
    const first = Math.max(from, bytes.length - this.#longest + 1, 0);
    let at = bytes.length;
    while (at > first && this.#isUsed[bytes[at - 1]!] === 1) at--;
    for (; at < bytes.length; at++) {
      const rest = bytes.length - at;
      const start = at;
      const isOpen = (needle: Buffer) => needle.length > rest && agrees(needle, bytes, start, rest);
      if (this.#byFirst[bytes[at]!]!.some(isOpen)) return rest;
    }
    return 0;
  }
}

/** A loop: most needles differ in the first bytes, where a call to compare costs more. */
function agrees(needle: Buffer, bytes: Buffer, at: number, length: number): boolean {
  for (let index = 0; index < length; index++) if (needle[index] !== bytes[at + index]) return false;
  return true;
}
