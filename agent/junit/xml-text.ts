/**
 * Text on its way into and out of XML 1.0: what may not stand in a document is replaced, the five entities and character
 * references are the only ones that are read.
 */

/** Not a Char of XML 1.0 (section 2.2): controls, lone surrogates, the last two code points of the plane. */
const NO_CHAR = /[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]|\p{Surrogate}/gu;
/** What would move a terminal, or is one of C1's: allowed, and of no use to a reader. */
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

/** For a value between double quotes, where white space must survive normalisation. */
export function escapeXmlAttribute(text: string): string {
  return clean(text).replace(/[<>&"\t\n\r]/g, escapeCharacter);
}

function clean(text: string): string {
  return text.replace(ESCAPE_SEQUENCE, "").replace(NO_CHAR, "\ufffd");
}

function escapeCharacter(character: string): string {
  return `&#${character.charCodeAt(0)};`;
}

/** An entity of the document's own stays as it is written: nothing is expanded twice, and nothing of unknown size. */
export function decodeXmlEntities(text: string): string {
  if (!text.includes("&")) return text;
  return text.replace(/&(?:#(\d{1,7})|#x([0-9a-f]{1,6})|([a-z]{2,4}));/gi, (written, decimal, hex, name) => {
    if (name !== undefined) return ENTITIES[name] ?? written;
    const code = decimal === undefined ? Number.parseInt(hex, 16) : Number(decimal);
    return code <= 0x10ffff ? String.fromCodePoint(code) : written;
  });
}
