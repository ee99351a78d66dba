/**
 * The kernel's own reading of its command line (next_arg in lib/cmdline.c): words between white space,
 * double quotes keep spaces, round a whole word or round a value; there is no escape character.
 */

export interface Parameter {
  /** Name up to the first `=`. */
  name: string;
  /** Text behind the first `=`, its quotes taken off; undefined for a bare word. */
  value: string | undefined;
  /** The word as it stands in the line. */
  text: string;
}

export interface CommandLine {
  parameters: Parameter[];
  /** A quote was opened and never closed: the line may have been cut. */
  isUnterminated: boolean;
}

/** What C's isspace takes for white space. */
const SPACE = /[\t\n\v\f\r ]/;

/** Never throws: whatever stands in a line, the kernel has booted with it. Words after ` -- ` are for init and left out. */
export function parseCommandLine(line: string): CommandLine {
  const { words, isUnterminated } = splitWords(line);
  const end = words.indexOf("--");
  const ours = end === -1 ? words : words.slice(0, end);
  return { parameters: ours.map(parseWord), isUnterminated };
}

function splitWords(line: string): { words: string[]; isUnterminated: boolean } {
  const words: string[] = [];
  let word = "";
  let isQuoted = false;
  for (const character of line) {
    if (character === '"') isQuoted = !isQuoted;
    if (!isQuoted && SPACE.test(character)) {
      if (word !== "") words.push(word);
      word = "";
    } else word += character;
  }
  if (word !== "") words.push(word);
  return { words, isUnterminated: isQuoted };
}

/** Quotes are taken off where the kernel takes them off: round the whole word, or round the value; others stay. */
function parseWord(text: string): Parameter {
  const startsQuoted = text.startsWith('"');
  const word = startsQuoted ? stripEnd(text.slice(1)) : text;
  const equals = word.indexOf("=");
  if (equals === -1) return { name: word, value: undefined, text };
  const value = word.slice(equals + 1);
  const isValueQuoted = !startsQuoted && value.startsWith('"');
  return { name: word.slice(0, equals), value: isValueQuoted ? stripEnd(value.slice(1)) : value, text };
}

function stripEnd(text: string): string {
  return text.endsWith('"') ? text.slice(0, -1) : text;
}

/** A word that the kernel and `parseCommandLine` read back as this name and value. */
export function formatParameter(name: string, value: string): string {
  return SPACE.test(value) || value === "" ? `${name}="${value}"` : `${name}=${value}`;
}
