/**
 * Undoes what GRUB makes of a line: it writes a backslash before every quote and backslash, and double quotes around a word with spaces
 * (grub-core/lib/cmdline.c). It adds BOOT_IMAGE=, as pxelinux does, which escapes nothing and adds initrd= too.
 */

/** An escaped character. Any other backslash or single quote was not written by GRUB. */
const ESCAPED = /\\([\\'"])/g;
const GRUB_WORD = /(?:"(?:[^"\\]|\\.)*"|[^\s"\\]|\\.)+/g;
/** A word of the kernel's. */
const WORD = /(?:"[^"]*"|[^"\s])+/g;

export interface ArrivedLine {
  /** As it was written for the loader. */
  text: string;
  /** What was undone. */
  warning?: string;
  /** Why it is not certain what was written; completes "Cannot read the command line: …". */
  error?: string;
}

export function undoLoaderEscapes(text: string): ArrivedLine {
  // Every backslash and single quote is part of an escape.
  const isEscaped = text.includes("\\") && !/[\\']/.test(text.replace(ESCAPED, ""));
  const hasQuotes = /\\['"]/.test(text);
  if (!isEscaped || !hasQuotes) {
    if (text.includes('\\"'))
      return { text, error: 'it has a backslash before a `"`, where the kernel ends the quotes' };
    if (!isEscaped || !isOfGrub(text)) return { text };
    return { text, error: "GRUB doubles backslashes, but no quote shows that GRUB wrote it" };
  }
  if (!isOfGrub(text))
    return { text, error: "each of its quotes has a backslash, as if GRUB had written it" };
  const plain = text.replace(ESCAPED, "$1");
  if (plain.match(WORD)?.length !== text.match(GRUB_WORD)?.length)
    return { text, error: 'the kernel cannot have a `"` and spaces inside of its own double quotes' };
  return {
    text: plain,
    warning: "GRUB wrote a backslash before each quote and backslash of the line, which is undone",
  };
}

function isOfGrub(text: string): boolean {
  return /(^|\s)BOOT_IMAGE=\S/.test(text) && !/\sinitrd=/.test(text);
}
