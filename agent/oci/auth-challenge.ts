/**
 * Parses WWW-Authenticate: one or several challenges, in one header or more, with quoted strings.
 * RFC 9110, section 11.6.1, and distribution's token specification for Bearer.
 */

export interface AuthChallenge {
  /** Lower case: `basic`, `bearer`. */
  scheme: string;
  /** Names in lower case. */
  parameters: Readonly<Record<string, string>>;
}

const TOKEN = /[!#$%&'*+.^_`|~\w-]+/y;
const QUOTED = /"((?:[^"\\]|\\[\s\S])*)"/y;
const TOKEN68 = /[\w.~+/-]+=*(?=\s*(?:,|$))/y;
const SEPARATORS = /[\s,]*/y;
const SPACES = /[ \t]*/y;

/** Ignores what it cannot read: a server may offer unknown schemes in addition to a known one. */
export function parseAuthChallenges(header: string): AuthChallenge[] {
  const challenges: { scheme: string; parameters: Record<string, string> }[] = [];
  let at = 0;
  const take = (pattern: RegExp): RegExpExecArray | undefined => {
    pattern.lastIndex = at;
    const match = pattern.exec(header) ?? undefined;
    if (match) at = pattern.lastIndex;
    return match;
  };
  for (take(SEPARATORS); at < header.length; take(SEPARATORS)) {
    const word = take(TOKEN)?.[0];
    if (word === undefined) break;
    const afterWord = at;
    take(SPACES);
    const current = challenges.at(-1);
    if (header[at] === "=" && current) {
      at += 1;
      take(SPACES);
      const quoted = take(QUOTED)?.[1]?.replace(/\\([\s\S])/g, "$1");
      const value = quoted ?? take(TOKEN)?.[0];
      if (value === undefined) break;
      // The first of a repeated parameter counts: a proxy may have read that one.
      current.parameters[word.toLowerCase()] ??= value;
      continue;
    }
    challenges.push({ scheme: word.toLowerCase(), parameters: Object.create(null) });
    // `Negotiate abc==`: skip the token, but not the first name of a parameter list.
    if (at > afterWord) take(TOKEN68);
  }
  return challenges.map(({ scheme, parameters }) => ({ scheme, parameters: { ...parameters } }));
}
