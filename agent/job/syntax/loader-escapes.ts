/**
 * Undoes what boot loaders make of a line, or refuses it. GRUB writes a backslash before every quote and backslash, and double quotes around a word with spaces
 * (grub-core/lib/cmdline.c). It adds BOOT_IMAGE=, as pxelinux does, which escapes nothing and adds initrd= too.
 */
import { ValueError } from "./values.ts";

/** An escaped character. Any other backslash or single quote was not written by GRUB. */
const ESCAPED = /\\([\\'"])/g;
const GRUB_WORD = /(?:"(?:[^"\\]|\\.)*"|[^\s"\\]|\\.)+/g;
/** A word of the kernel's. */
const WORD = /(?:"[^"]*"|[^"\s])+/g;

/** `sh -c` with a script of one bare word and something behind it. */
const LOST_QUOTES = /(?:^|[\s;&|(])(?:\S*\/)?(?:ba|da|a)?sh\s+(?:-\w+\s+)*-\w*c\s+[^\s$`\\]+\s+\S/;

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

/** U-Boot's pxe removes single quotes: `sh -c 'a; b'` arrives as `sh -c a; b`, which runs something else and may pass. Throws ValueError. */
export function requireQuotedScript(command: string): void {
  if (!/['"]/.test(command) && LOST_QUOTES.test(command))
    throw new ValueError(
      "has a script after `sh -c` that is not quoted, as if a boot loader had removed the quotes: use a job file, or in dut.run, which a shell runs already, the script alone",
    );
}
