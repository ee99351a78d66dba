/**
 * boot2container's own reading of the command line, which is not the kernel's: white space outside of double quotes splits,
 * and double quotes are removed wherever they stand. Newer lines write `\"` for a quote inside quotes.
 */
import { splitShellText } from "../syntax/shell-words.ts";

export interface B2cParameter {
  name: string;
  /** Text behind the first `=`; undefined for a bare word. */
  value: string | undefined;
}

export interface B2cLine {
  parameters: B2cParameter[];
  isUnterminated: boolean;
}

const SPACE = /\s/;

/**
 * Never throws. The same for the command line and for a file of extra arguments, of one line or many.
 * Where `\"` as a letter leaves a quote open, the line is of the old kind, in which a backslash means nothing.
 */
export function parseB2cLine(line: string): B2cLine {
  const escaped = splitLine(line, { hasEscapes: true });
  if (!escaped.isUnterminated) return escaped;
  const plain = splitLine(line, { hasEscapes: false });
  return plain.isUnterminated ? escaped : plain;
}

function splitLine(line: string, { hasEscapes }: { hasEscapes: boolean }): B2cLine {
  const parameters: B2cParameter[] = [];
  let word: string | undefined;
  let isQuoted = false;
  const finish = () => {
    // Quotes round nothing make a word for us only behind a `=`.
    if (word) parameters.push(parseWord(word));
    word = undefined;
  };
  for (let at = 0; at < line.length; at++) {
    const character = line[at]!;
    if (hasEscapes && isQuoted && character === "\\" && line[at + 1] === '"') {
      word = `${word ?? ""}"`;
      at += 1;
    } else if (character === '"') isQuoted = !isQuoted;
    else if (!isQuoted && SPACE.test(character)) finish();
    else word = (word ?? "") + character;
  }
  finish();
  return { parameters, isUnterminated: isQuoted };
}

function parseWord(word: string): B2cParameter {
  const equals = word.indexOf("=");
  if (equals === -1) return { name: word, value: undefined };
  return { name: word.slice(0, equals), value: word.slice(equals + 1) };
}

const SIMPLE_ESCAPES: Readonly<Record<string, string>> = {
  a: "\x07",
  b: "\b",
  e: "\x1b",
  f: "\f",
  n: "\n",
  r: "\r",
  t: "\t",
  v: "\v",
  "\\": "\\",
};

/** A line end that came out of `\n`; those of the value itself are kept. No text holds a lone surrogate. */
const SPLIT = "\udfff";

/**
 * Accumulated values pass through busybox's `echo -e`: escapes are interpreted, and `\n` splits one value in two.
 * Where a half would be no sentence of a shell, boot2container of old failed; newer lines mean what they say, so the
 * value stays as it is.
 */
export function splitEchoedValue(value: string): string[] {
  if (!value.includes("\\")) return [value];
  const pieces = interpretEscapes(value)
    .split(SPLIT)
    .filter((piece) => piece !== "");
  return pieces.length < 2 || pieces.every(isShellSentence) ? pieces : [value];
}

function interpretEscapes(value: string): string {
  const [kept = ""] = value.split(/(?<!\\)(?:\\\\)*\\c/, 1);
  return kept.replace(
    /\\(?:x([0-9a-fA-F]{1,2})|0?([0-7]{1,3})|([abefnrtv\\]))/g,
    (_all, hex, octal, letter) => {
      if (hex !== undefined) return String.fromCharCode(Number.parseInt(hex, 16));
      if (octal !== undefined) return String.fromCharCode(Number.parseInt(octal, 8) & 0xff);
      return letter === "n" ? SPLIT : SIMPLE_ESCAPES[letter]!;
    },
  );
}

function isShellSentence(text: string): boolean {
  try {
    splitShellText(text);
    return true;
  } catch {
    return false;
  }
}
