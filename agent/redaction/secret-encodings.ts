/**
 * The ways a secret turns up in a log other than as it is: in a URL, in JSON, in HTML, in base64 of whatever it stood in.
 */

/** Shorter values are no secrets worth the name, and replacing them would garble ordinary text. */
const SHORTEST_SECRET = 6;

/** Each at least `SHORTEST_SECRET` bytes long; none where the secret is shorter. */
export function listSecretForms(secret: string): Buffer[] {
  const pieces = [secret, ...secret.split(/\r?\n/).map((line) => line.trim())];
  // The first and last lines of keys are the same in all of them.
  const texts = pieces.filter((piece) => isLongEnough(piece) && !piece.startsWith("-----"));
  const whole = isLongEnough(secret) && secret.includes("\n") ? [secret] : [];
  const forms = new Set([...texts, ...whole].flatMap(listForms));
  return [...forms].filter(isLongEnough).map((form) => Buffer.from(form));
}

const isLongEnough = (text: string) => Buffer.byteLength(text) >= SHORTEST_SECRET;

function listForms(text: string): string[] {
  const url = encodeUrl(text);
  return [
    text,
    url,
    url.replace(/%[0-9A-F]{2}/g, (escaped) => escaped.toLowerCase()),
    url.replaceAll("%20", "+"),
    JSON.stringify(text).slice(1, -1),
    text.replace(/[&<>"']/g, (character) => HTML[character]!),
    text.replace(/[<>&"\t\n\r]/g, (character) => `&#${character.charCodeAt(0)};`),
    ...listBase64(Buffer.from(text)),
  ];
}

const HTML: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

/** encodeURIComponent throws for half a surrogate pair, and leaves some characters that others escape. */
function encodeUrl(text: string): string {
  return encodeURIComponent(text.toWellFormed());
}

/**
 * Behind `user:` or in a larger text a secret starts at any of three places within a group of three bytes. Characters that
 * depend on what stands before and behind it are left out.
 */
function listBase64(bytes: Buffer): string[] {
  return [0, 1, 2].flatMap((offset) => {
    const text = Buffer.concat([Buffer.alloc(offset), bytes]).toString("base64url");
    const first = Math.ceil((offset * 8) / 6);
    const last = Math.floor(((offset + bytes.length) * 8) / 6);
    const certain = text.slice(first, last);
    return [certain, certain.replaceAll("-", "+").replaceAll("_", "/")];
  });
}
