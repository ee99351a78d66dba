/** Converts names between JSON, which is UTF-8, and latin1 strings with one character per byte. Most are ASCII. */

/** The UTF-8 bytes of a string from JSON. */
export function toLatin1(text: string): string {
  return isAscii(text) ? text : Buffer.from(text, "utf8").toString("latin1");
}

/** A name as a TOC has it, without the bytes that are not UTF-8. */
export function toTableName(name: string): string {
  return isAscii(name) ? name : toLatin1(Buffer.from(name, "latin1").toString("utf8"));
}

function isAscii(text: string): boolean {
  for (let index = 0; index < text.length; index++) if (text.charCodeAt(index) > 0x7f) return false;
  return true;
}
