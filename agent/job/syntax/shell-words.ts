/**
 * Splits text into words as a POSIX shell does: quotes, escapes, comments and plain variables (POSIX.1-2017, XCU 2.2, 2.3,
 * 2.6.5). Operators are returned as tokens and substitutions refused; nothing is executed.
 */
import { ValueError } from "./values.ts";

export type WordPart =
  | { text: string; isQuoted: boolean }
  /** `$NAME` or `${NAME}`; the name of a special parameter is its character. */
  | { variable: string; isQuoted: boolean };

export type ShellToken =
  | { kind: "word"; parts: WordPart[]; start: number }
  /** `;`, `&&`, `|`, `>`, a line end… */
  | { kind: "operator"; text: string; start: number };

/** The value of a variable; undefined if it is not set. */
export type VariableLookup = (name: string) => string | undefined;

const BLANK = /[ \t]/;
/** The longest first. */
const OPERATOR = /&&|\|\||;;|<<-?|>>|[<>]&|<>|>\||[;&|<>()\n]/y;
/** The file descriptor of a redirection. */
const REDIRECTED = /\d+(?=[<>])/y;
const VARIABLE = /\$(?:\{([A-Za-z_]\w*|[0-9@*#?$!-])\}|([A-Za-z_]\w*|[0-9@*#?$!-]))/y;
/** Inside double quotes a backslash escapes only these. */
const ESCAPABLE = '$`"\\\n';

/** Throws ValueError for an open quote and for substitutions. */
export function splitShellText(text: string): ShellToken[] {
  const tokens: ShellToken[] = [];
  let at = 0;
  const match = (pattern: RegExp) => {
    pattern.lastIndex = at;
    return pattern.exec(text);
  };
  while (at < text.length) {
    const character = text[at]!;
    if (BLANK.test(character) || character === "\r") at += 1;
    else if (text.startsWith("\\\n", at)) at += 2;
    else if (character === "#") {
      const end = text.indexOf("\n", at);
      at = end === -1 ? text.length : end;
    } else {
      const start = at;
      const operator = match(OPERATOR) ?? match(REDIRECTED);
      if (operator) {
        at += operator[0].length;
        tokens.push({ kind: "operator", text: operator[0], start });
        continue;
      }
      const { parts, end } = readWord(text, at);
      tokens.push({ kind: "word", parts, start });
      at = end;
    }
  }
  return tokens;
}

function readWord(text: string, start: number): { parts: WordPart[]; end: number } {
  const parts: WordPart[] = [];
  let at = start;
  let isQuoted = false;
  const add = (piece: string, quoted: boolean) => {
    const last = parts.at(-1);
    if (last && "text" in last && last.isQuoted === quoted) last.text += piece;
    else parts.push({ text: piece, isQuoted: quoted });
  };
  for (; at < text.length; ) {
    const character = text[at]!;
    if (character === '"') {
      isQuoted = !isQuoted;
      // `""` is an empty word.
      add("", true);
      at += 1;
    } else if (character === "\\") {
      const next = text[at + 1];
      const escapes = next !== undefined && (!isQuoted || ESCAPABLE.includes(next));
      if (!escapes) add("\\", isQuoted);
      else if (next !== "\n") add(next, true);
      at += escapes ? 2 : 1;
    } else if (character === "`" || /^\$\(/.test(text.slice(at, at + 2))) {
      throw new ValueError(
        `has the command substitution "${character === "`" ? "`" : "$("}", which needs a shell`,
      );
    } else if (character === "$") {
      at = readVariable(
        text,
        at,
        (part) => parts.push({ ...part, isQuoted }),
        () => add("$", isQuoted),
      );
    } else if (isQuoted) {
      add(character, true);
      at += 1;
    } else if (character === "'") {
      const end = text.indexOf("'", at + 1);
      if (end === -1) throw new ValueError("has a ' that is never closed");
      add(text.slice(at + 1, end), true);
      at = end + 1;
    } else if (/[ \t\r\n;&|<>()]/.test(character)) break;
    else {
      add(character, false);
      at += 1;
    }
  }
  if (isQuoted) throw new ValueError('has a " that is never closed');
  return { parts, end: at };
}

function readVariable(
  text: string,
  at: number,
  addVariable: (part: { variable: string }) => void,
  addDollar: () => void,
): number {
  VARIABLE.lastIndex = at;
  const found = VARIABLE.exec(text);
  if (found) {
    addVariable({ variable: (found[1] ?? found[2])! });
    return at + found[0].length;
  }
  if (text[at + 1] === "{") {
    const shown = text.slice(at).split(/[}\s]/, 1)[0];
    throw new ValueError(`has "${shown}}", but only \${NAME} is supported`);
  }
  addDollar();
  return at + 1;
}

/**
 * The words after expansion. As in a shell, the value of a variable outside of quotes is split at white space, and is no word
 * if it is empty; unlike in a shell, `*`, `?`, `[` and `~` have no meaning.
 */
export function expandWords(tokens: readonly ShellToken[], lookup: VariableLookup): string[] {
  return tokens.flatMap((token) => (token.kind === "word" ? expandWord(token.parts, lookup) : []));
}

function expandWord(parts: readonly WordPart[], lookup: VariableLookup): string[] {
  const fields: string[] = [];
  let field: string | undefined;
  for (const part of parts) {
    if ("text" in part || part.isQuoted) {
      field = (field ?? "") + ("text" in part ? part.text : (lookup(part.variable) ?? ""));
      continue;
    }
    const [first = "", ...others] = (lookup(part.variable) ?? "").split(/[ \t\n]+/);
    const last = others.pop();
    if (first !== "") field = (field ?? "") + first;
    if (last === undefined) continue;
    if (field !== undefined) fields.push(field);
    fields.push(...others);
    field = last === "" ? undefined : last;
  }
  return field === undefined ? fields : [...fields, field];
}

/** The names of all variables outside of single quotes. */
export function listVariables(tokens: readonly ShellToken[]): string[] {
  return tokens.flatMap((token) =>
    token.kind === "word" ? token.parts.flatMap((part) => ("variable" in part ? [part.variable] : [])) : [],
  );
}

/** The text as one word of a shell, in single quotes if needed. */
export function quoteShellWord(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}
