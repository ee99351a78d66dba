/** Names between tables in JSON, which is UTF-8, and our latin1 texts of one character a byte. Nearly all are ASCII. */

/** The UTF-8 of a text from JSON, one character a byte. */
export function toLatin1(text: string): string {
  return isAscii(text) ? text : Buffer.from(text, "utf8").toString("latin1");
}

/** A name of any bytes as a table has it, in which those that are not UTF-8 have been lost. */
export function toTableName(name: string): string {
  return isAscii(name) ? name : toLatin1(Buffer.from(name, "latin1").toString("utf8"));
}

function isAscii(text: string): boolean {
  for (let index = 0; index < text.length; index++) if (text.charCodeAt(index) > 0x7f) return false;
  return true;
}
