/**
 * Encodes and decodes text in XML 1.0: characters that XML does not allow are replaced, and only the five predefined entities and character
 * references are decoded.
 */

/** Not a Char of XML 1.0 (section 2.2). */
const NO_CHAR = /[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]|\p{Surrogate}/gu;
/** Terminal sequences, which are useless to a reader. */
const ESCAPE_SEQUENCE = /\x1b\[[0-9;:?]*[ -/]*[@-~]/g;

const ENTITIES: Readonly<Record<string, string>> = {
  amp: "&",
  apos: "'",
  gt: ">",
  lt: "<",
  quot: '"',
};

/** For content between tags. */
export function escapeXmlText(text: string): string {
  return clean(text).replace(/[<>&\r]/g, escapeCharacter);
}

/** For a value in double quotes; white space survives normalization. */
export function escapeXmlAttribute(text: string): string {
  return clean(text).replace(/[<>&"\t\n\r]/g, escapeCharacter);
}

function clean(text: string): string {
  return text.replace(ESCAPE_SEQUENCE, "").replace(NO_CHAR, "\ufffd");
}

function escapeCharacter(character: string): string {
  return `&#${character.charCodeAt(0)};`;
}

/** Leaves other entities as they are: nothing is expanded twice or to an unknown size. */
export function decodeXmlEntities(text: string): string {
  if (!text.includes("&")) return text;
  return text.replace(/&(?:#(\d{1,7})|#x([0-9a-f]{1,6})|([a-z]{2,4}));/gi, (written, decimal, hex, name) => {
    if (name !== undefined) return ENTITIES[name] ?? written;
    const code = decimal === undefined ? Number.parseInt(hex, 16) : Number(decimal);
    return code <= 0x10ffff ? String.fromCodePoint(code) : written;
  });
}
