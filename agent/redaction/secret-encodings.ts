/**
 * The forms in which a secret appears in a log: as it is, in a URL, in JSON, in HTML or XML, and in base64 of a text that contains it.
 */

/** Replacing shorter values would garble ordinary text. */
const SECRET_MIN_BYTES = 6;

/** Empty for a secret that is too short. */
export function listSecretForms(secret: string): Buffer[] {
  const pieces = [secret, ...secret.split(/\r?\n/).map((line) => line.trim())];
  // The first and last lines of keys are the same in all keys.
  const texts = pieces.filter((piece) => isLongEnough(piece) && !piece.startsWith("-----"));
  const whole = isLongEnough(secret) && secret.includes("\n") ? [secret] : [];
  const forms = new Set([...texts, ...whole].flatMap(listForms));
  return [...forms].filter(isLongEnough).map((form) => Buffer.from(form));
}

const isLongEnough = (text: string) => Buffer.byteLength(text) >= SECRET_MIN_BYTES;

function listForms(text: string): string[] {
  // encodeURIComponent throws for half a surrogate pair.
  const url = encodeURIComponent(text.toWellFormed());
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

/**
 * In a larger text, such as `user:SECRET`, a secret starts at one of three offsets within a group of three bytes. Characters that also
 * depend on the bytes around it are cut off.
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
