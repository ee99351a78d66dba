/**
 * HTML from untrusted text: everything is escaped, and terminal sequences, invisible characters and changes of the text's direction are
 * removed.
 */
import { truncateMiddle } from "../text.ts";

/** HTML that needs no escaping. */
export class Html {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

const ENTITIES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

/** ESC [ … letter, and ESC ] … BEL. */
const TERMINAL_SEQUENCE = /\x1b(?:\[[0-9;:?]*[ -/]*[@-~]|\][^\x07\x1b]{0,500}(?:\x07|\x1b\\)?)/g;
/** C0 except tab and line end, C1, and characters that have no width or change the direction of text. */
const INVISIBLE = /[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;

export function showText(text: string): string {
  return text.toWellFormed().replace(TERMINAL_SEQUENCE, "").replace(INVISIBLE, "");
}

export function escapeHtml(text: string): string {
  return showText(text).replace(/[&<>"']/g, (character) => ENTITIES[character]!);
}

type Part = Html | string | number | undefined | false | readonly Part[];

/** A template that escapes its values except Html, joins lists and omits undefined and false. */
export function html(strings: TemplateStringsArray, ...parts: readonly Part[]): Html {
  return new Html(strings.map((text, at) => text + (at < parts.length ? render(parts[at]) : "")).join(""));
}

/** The first pieces that fit into `maxBytes`. */
export function takeWithin(maxBytes: number, pieces: readonly Html[]): Html[] {
  let bytes = 0;
  const end = pieces.findIndex(({ text }) => {
    bytes += Buffer.byteLength(text);
    return bytes > maxBytes;
  });
  return end === -1 ? [...pieces] : pieces.slice(0, end);
}

function render(part: Part): string {
  if (part === undefined || part === false) return "";
  if (part instanceof Html) return part.text;
  if (typeof part === "object") return part.map(render).join("");
  return escapeHtml(String(part));
}

/** `0.4 s`, `31.2 s`, `12 min 5 s`, `2 h 3 min`. */
export function formatDuration(ms: number): string {
  const seconds = Math.max(0, ms) / 1000;
  if (seconds < 99.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 7200) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}

const UNITS = ["B", "kB", "MB", "GB", "TB"] as const;

/** `0 B`, `512 B`, `1.2 kB`, `72.9 MB`, `1.6 GB`: in steps of 1000. */
export function formatBytes(bytes: number): string {
  let value = bytes;
  let unit = 0;
  for (; value >= 999.95 && unit < UNITS.length - 1; unit++) value /= 1000;
  return `${unit === 0 ? value : value.toFixed(1)} ${UNITS[unit]}`;
}

export function formatPercent(part: number, whole: number): string {
  return whole > 0 ? `${Math.round((part * 100) / whole)} %` : "0 %";
}

/** Abbreviates digests in the name, then truncates it. */
export function shortenName(name: string, length: number): string {
  return truncateMiddle(name.replace(/\b(sha256|sha512):([0-9a-f]{12})[0-9a-f]{52,}/g, "$1:$2"), length);
}
