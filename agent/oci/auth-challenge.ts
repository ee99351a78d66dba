/**
 * Reads WWW-Authenticate: one or several challenges, in one header or more, with quoted strings.
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

/** Unreadable rests are left out: a server may offer schemes that we do not know beside one that we do. */
export function parseAuthChallenges(header: string): AuthChallenge[] {
  const challenges: { scheme: string; parameters: Record<string, string> }[] = [];
  let at = 0;
  const skip = (pattern: RegExp): void => {
    take(pattern);
  };
  const take = (pattern: RegExp): RegExpExecArray | undefined => {
    pattern.lastIndex = at;
    const match = pattern.exec(header) ?? undefined;
    if (match) at = pattern.lastIndex;
    return match;
  };
  const separators = /[\s,]*/y;
  const spaces = /[ \t]*/y;
  for (skip(separators); at < header.length; skip(separators)) {
    const word = take(TOKEN)?.[0];
    if (word === undefined) break;
    const afterWord = at;
    skip(spaces);
    const current = challenges.at(-1);
    if (header[at] === "=" && current) {
      at += 1;
      skip(spaces);
      const quoted = take(QUOTED)?.[1]?.replace(/\\([\s\S])/g, "$1");
      const value = quoted ?? take(TOKEN)?.[0];
      if (value === undefined) break;
      // A repeated parameter must not replace the first: proxies before us may have read that one.
      current.parameters[word.toLowerCase()] ??= value;
      continue;
    }
    challenges.push({ scheme: word.toLowerCase(), parameters: Object.create(null) });
    // `Negotiate abc==`: skip the token, but not the first name of a parameter list.
    if (at > afterWord) skip(TOKEN68);
  }
  return challenges.map(({ scheme, parameters }) => ({ scheme, parameters: { ...parameters } }));
}
