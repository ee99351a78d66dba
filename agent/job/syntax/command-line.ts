/**
 * The kernel's own reading of its command line (next_arg and parse_args in lib/cmdline.c, kernel/params.c): words between
 * white space, double quotes keep spaces, round a whole word or round a value; there is no escape character.
 */
import { AgentError } from "../../errors.ts";

export interface Parameter {
  /** Text up to the first `=` that is not the first character. */
  name: string;
  /** Text behind that `=`, its quotes taken off; undefined for a bare word. */
  value: string | undefined;
  /** The word as it stands in the line. */
  text: string;
  /** Where the word begins, in UTF-16 units from the start of the line. */
  start: number;
}

export interface CommandLine {
  parameters: Parameter[];
  /** Words behind ` -- `: the kernel hands them to init and reads none of them. */
  initParameters: Parameter[];
  /** A quote was opened and never closed: the line may have been cut. */
  isUnterminated: boolean;
}

/** What C's isspace takes for white space; the kernel's takes byte 0xA0 too, which would cut UTF-8 letters in two. */
const SPACE = /[\t\n\v\f\r ]/;

/** Never throws: whatever stands in a line, the kernel has booted with it. */
export function parseCommandLine(line: string): CommandLine {
  const { words, isUnterminated } = splitWords(line);
  const parameters = words.map(parseWord);
  const end = parameters.findIndex(({ name, value }) => name === "--" && value === undefined);
  if (end === -1) return { parameters, initParameters: [], isUnterminated };
  return {
    parameters: parameters.slice(0, end),
    initParameters: parameters.slice(end + 1),
    isUnterminated,
  };
}

interface Word {
  text: string;
  start: number;
}

function splitWords(line: string): { words: Word[]; isUnterminated: boolean } {
  const words: Word[] = [];
  let start = -1;
  let isQuoted = false;
  for (let at = 0; at < line.length; at++) {
    const character = line[at]!;
    if (!isQuoted && SPACE.test(character)) {
      if (start !== -1) words.push({ text: line.slice(start, at), start });
      start = -1;
      continue;
    }
    if (character === '"') isQuoted = !isQuoted;
    if (start === -1) start = at;
  }
  if (start !== -1) words.push({ text: line.slice(start), start });
  return { words, isUnterminated: isQuoted };
}

/** Quotes are taken off where the kernel takes them off: round the whole word, or round the value; others stay. */
function parseWord({ text, start }: Word): Parameter {
  const startsQuoted = text.startsWith('"');
  const word = startsQuoted ? text.slice(1) : text;
  // next_arg holds "no `=` yet" as position 0, so a first character `=` belongs to the name.
  const equals = word.indexOf("=", 1);
  if (equals === -1) return { name: startsQuoted ? stripEnd(word) : word, value: undefined, text, start };
  const value = word.slice(equals + 1);
  const isValueQuoted = value.startsWith('"');
  const bare = isValueQuoted ? value.slice(1) : value;
  return {
    name: word.slice(0, equals),
    value: isValueQuoted || startsQuoted ? stripEnd(bare) : bare,
    text,
    start,
  };
}

function stripEnd(text: string): string {
  return text.endsWith('"') ? text.slice(0, -1) : text;
}

/**
 * The shortest word that the kernel reads back as this name and value.
 * Throws CMDLINE_BAD_VALUE where none is: a value with a space behind an odd number of quotes, say.
 */
export function formatParameter(name: string, value: string | undefined): string {
  const candidates =
    value === undefined ? [name] : [`${name}=${value}`, `${name}="${value}"`, `"${name}=${value}"`];
  // An empty value without quotes reads back, but nobody sees it.
  if (value === "") candidates.shift();
  const fits = (word: string) => {
    const { parameters, isUnterminated } = parseCommandLine(word);
    const [only] = parameters;
    return parameters.length === 1 && !isUnterminated && only?.name === name && only.value === value;
  };
  const found = candidates.find(fits);
  if (found !== undefined) return found;
  throw new AgentError(
    "CMDLINE_BAD_VALUE",
    `Cannot write "${name}" on a command line: the kernel would not read its value back`,
    { hint: 'Write the value without `"`: there is no escape character for it' },
  );
}
