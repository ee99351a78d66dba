/**
 * Splits a command line as the kernel does (next_arg in lib/cmdline.c, parse_args in kernel/params.c). White space separates
 * parameters. Double quotes around a parameter or its value keep spaces. No character escapes another.
 */

/** One option of a command line, of extra arguments or of a job file. */
export interface Parameter {
  name: string;
  /** Undefined for a bare word. */
  value: string | undefined;
}

export interface Word extends Parameter {
  /** The word as it is written, with its quotes. */
  text: string;
}

export interface CommandLine {
  text: string;
  parameters: Word[];
  /** Words after a bare `--`: the kernel passes them to init and reads none of them. */
  initParameters: Word[];
  /** A quote is never closed: the line may have been cut. */
  isUnterminated: boolean;
}

/** White space as C's isspace has it; the kernel's isspace includes byte 0xA0, which would split UTF-8 letters. */
const WORD = /(?:"[^"]*(?:"|$)|[^"\t\n\v\f\r ]+)+/g;

/** Never throws: the kernel has booted with this line. */
export function parseCommandLine(text: string): CommandLine {
  const words = (text.match(WORD) ?? []).map(parseWord);
  const end = words.findIndex(({ name, value }) => name === "--" && value === undefined);
  return {
    text,
    parameters: end === -1 ? words : words.slice(0, end),
    initParameters: end === -1 ? [] : words.slice(end + 1),
    isUnterminated: text.split('"').length % 2 === 0,
  };
}

/** Removes the quotes that the kernel removes: around the whole word or around the value. Others stay. */
function parseWord(text: string): Word {
  const startsQuoted = text.startsWith('"');
  const word = startsQuoted ? text.slice(1) : text;
  // next_arg uses position 0 for "no `=` found", so a leading `=` belongs to the name.
  const equals = word.indexOf("=", 1);
  if (equals === -1) return { name: startsQuoted ? stripEnd(word) : word, value: undefined, text };
  const value = word.slice(equals + 1);
  const isValueQuoted = value.startsWith('"');
  const bare = isValueQuoted ? value.slice(1) : value;
  return { name: word.slice(0, equals), value: isValueQuoted || startsQuoted ? stripEnd(bare) : bare, text };
}

function stripEnd(text: string): string {
  return text.endsWith('"') ? text.slice(0, -1) : text;
}
