/**
 * Reads the OEM strings (type 11) from the firmware's SMBIOS table (DMTF DSP0134 sections 6.1.3 and 7.12). The table is untrusted, so
 * every length is checked.
 */
const TYPE_OEM_STRINGS = 11;
const TYPE_END = 127;
const HEADER_BYTES = 4;

/** Stops at a malformed structure. */
export function parseOemStrings(table: Buffer): string[] {
  const found: string[] = [];
  let at = 0;
  while (at + HEADER_BYTES <= table.length) {
    const type = table[at]!;
    const formattedBytes = table[at + 1]!;
    if (formattedBytes < HEADER_BYTES) break;
    // Strings follow the formatted part, each ended by a NUL, the set by one more; no strings is two NULs.
    const start = at + formattedBytes;
    const end = table.indexOf("\0\0", start, "latin1");
    if (end === -1) break;
    if (type === TYPE_OEM_STRINGS && end > start)
      found.push(...table.toString("utf8", start, end).split("\0"));
    if (type === TYPE_END) break;
    at = end + 2;
  }
  return found;
}
