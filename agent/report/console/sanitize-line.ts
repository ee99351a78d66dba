/**
 * A line of the test's as the console shows it: nothing in it moves the cursor, hides text or passes for a line of ours.
 * Control bytes and broken UTF-8 become `\xNN`, of a line that was overwritten by CR the last state is shown, GitLab's
 * section marks stay whole. The log file has the bytes as they came.
 */

import { isUtf8 } from "node:buffer";
import { formatCount } from "../../text.ts";
import { CONSOLE_LINE_MAX_BYTES } from "../limits.ts";
import { quoteLookalike } from "./agent-line.ts";

const CARRIAGE_RETURN = 0x0d;

export interface SanitizeOptions {
  /** SGR sequences are passed on; else they are left out. */
  hasColor: boolean;
  /** Bytes that were left out at the end of the line already. */
  droppedBytes?: number;
  /** The line's end has not come yet. */
  isOpen?: boolean;
  /** Its beginning is on the console. */
  isContinued?: boolean;
}

/** `line` without its line end; the result has none either. */
export function sanitizeLine(line: Buffer, options: SanitizeOptions): Buffer {
  const { isOpen = false, isContinued = false } = options;
  if (line[line.length - 1] === CARRIAGE_RETURN) line = line.subarray(0, -1);
  const head = line.length > CONSOLE_LINE_MAX_BYTES ? line.subarray(0, CONSOLE_LINE_MAX_BYTES) : line;
  const dropped = line.length - head.length + (options.droppedBytes ?? 0);
  const note = dropped === 0 ? "" : ` … ${formatCount(dropped)} bytes of this line not shown`;
  // What has neither a control byte nor a "d" or "[" for a beginning is most of what tests print.
  if (note === "" && isPlain(head) && (isContinued || !mayLookLikeOurs(head))) return Buffer.from(head);
  const pieces = decode(head).split(SECTION_MARK);
  const shown = pieces.map((piece, index) => {
    if (index % 2 === 1) return piece;
    const state = showControls(takeLastState(piece), options);
    // A mark ends with the cursor at the line's start.
    return isContinued && index === 0 ? state : quoteLookalike(state, { isOpen });
  });
  return Buffer.from(`${shown.join("")}${note}`);
}

/** The bytes that show a section's start or end to GitLab, as its documentation has them. */
const SECTION_MARK =
  /((?:\x1b\[0?K)?section_(?:start|end):\d{1,12}:[\w.-]{1,255}(?:\[[\w=,]*\])?\r\x1b\[0?K)/;
/** Of an open line: CR has put a state over another one, or is about to. GitLab's marks have a CR of their own. */
export function isOverwritten(line: Buffer): boolean {
  return (
    line.includes(CARRIAGE_RETURN) &&
    line
      .toString("latin1")
      .split(SECTION_MARK)
      .some((piece, index) => index % 2 === 0 && piece.includes("\r"))
  );
}

/** The last of the states that CR has put over each other; a line that ends with CR and LF is no such thing. */
function takeLastState(text: string): string {
  if (!text.includes("\r")) return text;
  const states = text.split("\r");
  return states.findLast((state) => state.trim() !== "") ?? "";
}

/**
 * Sequences that a terminal obeys: SGR, erase-in-line, which is harmless at a line's end and common behind SGR, then any
 * control character. Beside C0 these are C1, and characters without a width or that change the order of others.
 */
const OBEYED =
  /\x1b\[([\d;:]*)m|\x1b\[0?K|[\x00-\x08\x0a-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;
const RESET = "\x1b[0m";

function showControls(text: string, { hasColor }: SanitizeOptions): string {
  let isColored = false;
  const shown = text.replace(OBEYED, (sequence, sgr: string | undefined) => {
    if (sgr !== undefined) {
      const words = withoutConceal(sgr);
      if (!hasColor || words === undefined) return "";
      isColored = !/^[0;]*$/.test(words);
      return `\x1b[${words}m`;
    }
    if (sequence.endsWith("K")) return "";
    return [...Buffer.from(sequence)].map(escapeByte).join("");
  });
  // A colour that is left on would be the next line's, which may be ours.
  return isColored ? `${shown}${RESET}` : shown;
}

/** SGR 8 hides what follows. Behind 38, 48 and 58 stands a colour, in which an 8 means another thing. */
function withoutConceal(sgr: string): string | undefined {
  const words = sgr.split(";");
  const kept: string[] = [];
  for (let at = 0; at < words.length; at++) {
    const word = words[at]!;
    const isColor = ["38", "48", "58"].includes(word);
    const length = isColor ? (words[at + 1] === "2" ? 5 : 3) : 1;
    if (Number(word) !== 8 || word === "") kept.push(...words.slice(at, at + length));
    at += length - 1;
  }
  return kept.length === 0 ? undefined : kept.join(";");
}

/** Bytes that are no UTF-8 as `\xNN`. */
function decode(bytes: Buffer): string {
  if (isUtf8(bytes)) return bytes.toString();
  let text = "";
  let from = 0;
  for (let at = 0; at < bytes.length; ) {
    const length = measureCharacter(bytes, at);
    if (length === 0) {
      text += bytes.toString("utf8", from, at) + escapeByte(bytes[at]!);
      from = at + 1;
    }
    at += length || 1;
  }
  return text + bytes.toString("utf8", from);
}

/** Bytes of the character at `at`; 0 where none begins. */
function measureCharacter(bytes: Buffer, at: number): number {
  const first = bytes[at]!;
  if (first < 0x80) return 1;
  const length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  return at + length <= bytes.length && isUtf8(bytes.subarray(at, at + length)) ? length : 0;
}

const escapeByte = (byte: number) => `\\x${byte.toString(16).padStart(2, "0")}`;

function isPlain(bytes: Buffer): boolean {
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at]!;
    if ((byte < 0x20 && byte !== 0x09) || byte > 0x7e) return false;
  }
  return true;
}

function mayLookLikeOurs(line: Buffer): boolean {
  const first = line[0];
  return first === 0x5b || first === 0x44 || first === 0x64 || first === 0x20 || first === 0x09;
}
