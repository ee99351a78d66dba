/**
 * A line of the agent, `[   12.345] dutboot: text`, and the quoting of lines that only look like one: the test's are shown after `| `,
 * and a message from a library or server cannot start a line.
 */

/** ECMA-48's select graphic rendition: colours and weights. */
const SGR = /\x1b\[[\d;:]*m/g;
/** The name, after a time stamp like ours, the kernel's or boot2container's. */
const LOOKALIKE = /^\s*(?:\[\s*[\d.]*\]:?\s*)?dutboot\s*:/i;
const LOOKALIKE_PREFIX = /^\s*(?:\[\s*[\d.]*(?:\]:?\s*)?)?(?:d(?:u(?:t(?:b(?:o(?:o(?:t\s*)?)?)?)?)?)?)?$/i;
const QUOTE_MARK = "| ";

export function formatAgentLine(text: string, uptimeMs: number): string {
  const seconds = (uptimeMs / 1000).toFixed(3).padStart(9);
  return `[${seconds}] dutboot: ${escapeControls(text).replace(/\n(?!$)(.*)/g, (_, line: string) => `\n${quoteLookalike(line)}`)}`;
}

/** `isOpen`: the line goes on, so its start counts as well. */
export function quoteLookalike(line: string, { isOpen = false } = {}): string {
  const text = line.replace(SGR, "");
  return LOOKALIKE.test(text) || (isOpen && LOOKALIKE_PREFIX.test(text)) ? `${QUOTE_MARK}${line}` : line;
}

/** All controls except tab and line end. */
function escapeControls(text: string): string {
  return text.replace(
    /[\x00-\x08\x0b-\x1f\x7f]/g,
    (control) => `\\x${control.charCodeAt(0).toString(16).padStart(2, "0")}`,
  );
}
