/**
 * Keeps secrets out of everything the agent prints: values that were read as credentials are replaced wherever they turn up.
 * It knows values, not names, so that a secret inside a URL or an error text of a library is caught as well.
 */

/** Shorter values are no secrets worth the name, and replacing them would garble ordinary text. */
const SHORTEST_SECRET = 6;

export interface Redaction {
  /** From now on `secret` does not appear in what `redact` returns. */
  hide(secret: string): void;
  redact(text: string): string;
}

export function createRedaction(): Redaction {
  const secrets = new Set<string>();
  return {
    hide(secret) {
      if (secret.length < SHORTEST_SECRET) return;
      secrets.add(secret);
      secrets.add(encodeURIComponent(secret));
    },
    redact(text) {
      let clean = text;
      for (const secret of secrets) clean = clean.replaceAll(secret, "[hidden]");
      return clean;
    },
  };
}
