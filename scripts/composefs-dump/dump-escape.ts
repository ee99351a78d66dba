/**
 * The escapes of composefs-dump text: backslash, newline, return, tab by a letter, every other odd byte by two hex digits.
 * Both sides are latin1 strings, one character a byte (composefs-dump(5), "Escaping").
 */

const BACKSLASH = 0x5c;

export interface BadEscape {
  /** Where in the escaped text it stands. */
  offset: number;
  fault: string;
}

/** The bytes that an escaped field stands for, or what is wrong with it. */
export function unescapeField(text: string): string | BadEscape {
  let next = text.indexOf("\\");
  if (next < 0) return text;
  const parts: string[] = [];
  let from = 0;
  while (next >= 0) {
    parts.push(text.slice(from, next));
    const letter = text.charAt(next + 1);
    if (letter === "x") {
      const code = parseHexByte(text, next + 2);
      if (code < 0) return { offset: next, fault: "\\x without two hex digits" };
      parts.push(String.fromCharCode(code));
      from = next + 4;
    } else {
      const plain = PLAIN_BY_LETTER.get(letter);
      if (plain === undefined)
        return { offset: next, fault: letter === "" ? "a lone backslash" : "an unknown escape" };
      parts.push(plain);
      from = next + 2;
    }
    next = text.indexOf("\\", from);
  }
  parts.push(text.slice(from));
  return parts.join("");
}

const PLAIN_BY_LETTER: ReadonlyMap<string, string> = new Map([
  ["\\", "\\"],
  ["n", "\n"],
  ["r", "\r"],
  ["t", "\t"],
]);
const LETTER_BY_PLAIN = new Map([...PLAIN_BY_LETTER].map(([letter, plain]) => [plain, letter]));

function parseHexByte(text: string, at: number): number {
  const digits = text.slice(at, at + 2);
  return /^[0-9a-fA-F]{2}$/.test(digits) ? Number.parseInt(digits, 16) : -1;
}

/** Escapes a path or a payload; a lone `-` too, which would mean that the field is absent. */
export function escapeField(bytes: string): string {
  return bytes === "-" ? "\\x2d" : escapeBytes(bytes, false);
}

/** Escapes a key or a value of `key=value`. */
export function escapeXattrPart(bytes: string): string {
  return escapeBytes(bytes, true);
}

function escapeBytes(bytes: string, escapeEquals: boolean): string {
  let from = 0;
  let escaped = "";
  for (let index = 0; index < bytes.length; index++) {
    const code = bytes.charCodeAt(index);
    const isPlain = code > 0x20 && code < 0x7f && code !== BACKSLASH && !(escapeEquals && code === 0x3d);
    if (isPlain) continue;
    const letter = LETTER_BY_PLAIN.get(bytes.charAt(index)) ?? `x${code.toString(16).padStart(2, "0")}`;
    escaped += `${bytes.slice(from, index)}\\${letter}`;
    from = index + 1;
  }
  return from === 0 ? bytes : escaped + bytes.slice(from);
}
