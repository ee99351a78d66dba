/**
 * Undoes what GRUB makes of a line: it writes a backslash before every quote and backslash, and double quotes around a word with spaces
 * (grub-core/lib/cmdline.c). Its first word is BOOT_IMAGE=, as that of pxelinux, which escapes nothing and adds initrd=.
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
  const isOfGrub =
    /^BOOT_IMAGE=\S+ /.test(text) && !/\sinitrd=/.test(text) && !/[\\']/.test(text.replace(ESCAPED, ""));
  if (!isOfGrub) {
    if (!text.includes('\\"')) return { text };
    return { text, error: 'it has a backslash before a `"`, where the kernel ends the quotes' };
  }
  if (!text.includes("\\")) return { text };
  if (!/\\['"]/.test(text))
    return { text, error: "GRUB doubles backslashes, but no quote shows that GRUB wrote it" };
  const plain = text.replace(ESCAPED, "$1");
  if (plain.match(WORD)?.length !== text.match(GRUB_WORD)?.length)
    return { text, error: 'the kernel cannot have a `"` and spaces inside of its own double quotes' };
  return {
    text: plain,
    warning: "GRUB wrote a backslash before each quote and backslash of the line, which is undone",
  };
}
