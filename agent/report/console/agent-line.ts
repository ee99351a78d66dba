/**
 * A line of the agent's own, `[   12.345] dutboot: text`, and how a line that only looks like one is told from it.
 * What the test prints is shown behind `| ` where it begins like ours; what libraries and servers say cannot begin a line.
 */

/** ECMA-48's select graphic rendition: colours and weights. */
const SGR = /\x1b\[[\d;:]*m/g;
/** The stamp of our lines, of the kernel's and of boot2container's, which may stand in front of the name. */
const LIKE_OURS = /^\s*(?:\[\s*[\d.]*\]:?\s*)?dutboot\s*:/i;
const MAY_BECOME_OURS = /^\s*(?:\[\s*[\d.]*(?:\]:?\s*)?)?(?:d(?:u(?:t(?:b(?:o(?:o(?:t\s*)?)?)?)?)?)?)?$/i;
const QUOTE_MARK = "| ";

export function formatAgentLine(text: string, uptimeMs: number): string {
  const seconds = (uptimeMs / 1000).toFixed(3).padStart(9);
  return `[${seconds}] dutboot: ${escapeControls(text).replace(/\n(?!$)(.*)/g, (_, line: string) => `\n${quoteLookalike(line)}`)}`;
}

/** `isOpen`: the line's end is not known yet, so one that may still become like ours counts as like ours. */
export function quoteLookalike(line: string, { isOpen = false } = {}): string {
  const text = line.replace(SGR, "");
  return LIKE_OURS.test(text) || (isOpen && MAY_BECOME_OURS.test(text)) ? `${QUOTE_MARK}${line}` : line;
}

/** Everything a terminal obeys, but tabs and line ends. */
const CONTROL = /[\x00-\x08\x0b-\x1f\x7f]/g;

function escapeControls(text: string): string {
  return text.replace(CONTROL, (control) => `\\x${control.charCodeAt(0).toString(16).padStart(2, "0")}`);
}
