/**
 * Splits a command line as boot2container does, which is not as the kernel does: white space outside double quotes separates
 * words, and all double quotes are removed. Newer lines write `\"` for a quote inside quotes.
 */
import type { Parameter } from "../syntax/command-line.ts";
import { splitShellText } from "../syntax/shell-words.ts";

export interface B2cLine {
  parameters: Parameter[];
  isUnterminated: boolean;
}

const QUOTED = '"([^"]*)("|$)';
const QUOTED_WITH_ESCAPES = '"((?:\\\\"|[^"])*)("|$)';

/**
 * Never throws. Reads the command line and a file of extra arguments alike, of one line or many.
 * Where `\"` as an escape leaves a quote open, the line is an old one, in which a backslash is a plain character.
 */
export function parseB2cLine(line: string): B2cLine {
  const escaped = splitLine(line, QUOTED_WITH_ESCAPES);
  if (!escaped.isUnterminated) return escaped;
  const plain = splitLine(line, QUOTED);
  return plain.isUnterminated ? escaped : plain;
}

function splitLine(line: string, quoted: string): B2cLine {
  let isUnterminated = false;
  const words = (line.match(new RegExp(`(?:${quoted}|[^\\s"]+)+`, "g")) ?? []).map((word) =>
    word.replace(new RegExp(quoted, "g"), (_all, content: string, end: string) => {
      isUnterminated ||= end === "";
      return quoted === QUOTED ? content : content.replaceAll('\\"', '"');
    }),
  );
  // Empty quotes are a word only after a `=`.
  return { parameters: words.filter((word) => word !== "").map(parseWord), isUnterminated };
}

function parseWord(word: string): Parameter {
  const equals = word.indexOf("=");
  if (equals === -1) return { name: word, value: undefined };
  return { name: word.slice(0, equals), value: word.slice(equals + 1) };
}

const ESCAPES: Readonly<Record<string, string>> = {
  a: "\x07",
  b: "\b",
  e: "\x1b",
  f: "\f",
  r: "\r",
  t: "\t",
  v: "\v",
  "\\": "\\",
};

/** Marks a line end made from `\n`, as opposed to one in the value itself. No text holds a lone surrogate. */
const SPLIT = "\udfff";

/**
 * The values of a repeatable option pass through busybox's `echo -e`: it expands escapes, and `\n` splits one value in two.
 * Where a part would not be valid shell text, the old boot2container failed; newer lines mean the text as it is written,
 * so the value stays unchanged.
 */
export function splitEchoedValue(value: string): string[] {
  if (!value.includes("\\")) return [value];
  const parts = expandEscapes(value)
    .split(SPLIT)
    .filter((part) => part !== "");
  return parts.length < 2 || parts.every(isShellText) ? parts : [value];
}

function expandEscapes(value: string): string {
  // `\c` ends the output.
  const [kept = ""] = value.split(/(?<!\\)(?:\\\\)*\\c/, 1);
  return kept.replace(
    /\\(?:x([0-9a-fA-F]{1,2})|0?([0-7]{1,3})|([abefnrtv\\]))/g,
    (_all, hex, octal, letter) => {
      if (hex !== undefined) return String.fromCharCode(Number.parseInt(hex, 16));
      if (octal !== undefined) return String.fromCharCode(Number.parseInt(octal, 8) & 0xff);
      return letter === "n" ? SPLIT : ESCAPES[letter]!;
    },
  );
}

function isShellText(text: string): boolean {
  try {
    splitShellText(text);
    return true;
  } catch {
    return false;
  }
}
