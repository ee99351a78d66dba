/**
 * Sanitizes a line of the test for the console: nothing in it moves the cursor, hides text or looks like a line of the agent. Control
 * bytes and invalid UTF-8 become `\xNN`, a line overwritten by CR is shown in its last state, and GitLab's section marks are kept.
 * The log file has the original bytes.
 */

import { isUtf8 } from "node:buffer";
import { formatCount } from "../../text.ts";
import { CONSOLE_LINE_MAX_BYTES } from "../limits.ts";
import { quoteLookalike } from "./agent-line.ts";

const CARRIAGE_RETURN = 0x0d;

export interface SanitizeOptions {
  /** Whether SGR sequences are kept. */
  hasColor: boolean;
  /** Bytes missing at the end of the line. */
  droppedBytes?: number;
  /** The line goes on. */
  isOpen?: boolean;
  /** Its start is on the console already. */
  isContinued?: boolean;
}

/** `line` without its line end; the result has none either. */
export function sanitizeLine(line: Buffer, options: SanitizeOptions): Buffer {
  const { isOpen = false, isContinued = false } = options;
  if (line[line.length - 1] === CARRIAGE_RETURN) line = line.subarray(0, -1);
  const head = line.length > CONSOLE_LINE_MAX_BYTES ? line.subarray(0, CONSOLE_LINE_MAX_BYTES) : line;
  const dropped = line.length - head.length + (options.droppedBytes ?? 0);
  const note = dropped === 0 ? "" : ` … ${formatCount(dropped)} bytes of this line not shown`;
  // Most lines of tests are printable ASCII.
  if (note === "" && isPlain(head) && (isContinued || !mayBeLookalike(head))) return Buffer.from(head);
  const pieces = decode(head).split(SECTION_MARK);
  const sanitized = pieces.map((piece, index) => {
    if (index % 2 === 1) return piece;
    const state = escapeControls(takeLastState(piece), options);
    // A mark leaves the cursor at the line's start.
    return isContinued && index === 0 ? state : quoteLookalike(state, { isOpen });
  });
  return Buffer.from(`${sanitized.join("")}${note}`);
}

/** The start or end of a GitLab section, as documented. */
const SECTION_MARK =
  /((?:\x1b\[0?K)?section_(?:start|end):\d{1,12}:[\w.-]{1,255}(?:\[[\w=,]*\])?\r\x1b\[0?K)/;
/** Whether CR in an open line overwrites a state with another one. The CR in GitLab's marks does not count. */
export function isOverwritten(line: Buffer): boolean {
  return (
    line.includes(CARRIAGE_RETURN) &&
    line
      .toString("latin1")
      .split(SECTION_MARK)
      .some((piece, index) => index % 2 === 0 && piece.includes("\r"))
  );
}

/** The last of the states that CR has written over each other. */
function takeLastState(text: string): string {
  if (!text.includes("\r")) return text;
  const states = text.split("\r");
  return states.findLast((state) => state.trim() !== "") ?? "";
}

/**
 * SGR; erase-in-line, which is harmless and common after SGR; then all controls: C0, C1, and characters that have no width or change the
 * direction of text.
 */
const CONTROLS =
  /\x1b\[([\d;:]*)m|\x1b\[0?K|[\x00-\x08\x0a-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;
const RESET = "\x1b[0m";

function escapeControls(text: string, { hasColor }: SanitizeOptions): string {
  let isColored = false;
  const escaped = text.replace(CONTROLS, (sequence, sgr: string | undefined) => {
    if (sgr !== undefined) {
      const parameters = removeConceal(sgr);
      if (!hasColor || parameters === undefined) return "";
      isColored = !/^[0;]*$/.test(parameters);
      return `\x1b[${parameters}m`;
    }
    if (sequence.endsWith("K")) return "";
    return [...Buffer.from(sequence)].map(escapeByte).join("");
  });
  // Without a reset the next line would have the colour as well.
  return isColored ? `${escaped}${RESET}` : escaped;
}

/** SGR 8 hides text. In the colour that follows 38, 48 or 58, an 8 is a part of the colour. */
function removeConceal(sgr: string): string | undefined {
  const parameters = sgr.split(";");
  const kept: string[] = [];
  for (let at = 0; at < parameters.length; at++) {
    const parameter = parameters[at]!;
    const isColor = ["38", "48", "58"].includes(parameter);
    const length = isColor ? (parameters[at + 1] === "2" ? 5 : 3) : 1;
    if (Number(parameter) !== 8 || parameter === "") kept.push(...parameters.slice(at, at + length));
    at += length - 1;
  }
  return kept.length === 0 ? undefined : kept.join(";");
}

/** Invalid UTF-8 becomes `\xNN`. */
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

/** Bytes of the character at `at`; 0 for invalid UTF-8. */
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

function mayBeLookalike(line: Buffer): boolean {
  const first = line[0];
  return first === 0x5b || first === 0x44 || first === 0x64 || first === 0x20 || first === 0x09;
}
