/**
 * Text into HTML. Everything in a report comes from a machine or a test that nobody vouches for: nothing is put in unescaped,
 * and what would colour a terminal, hide text or turn its direction is taken out.
 */

/** A piece of HTML that is safe to put in as it is. */
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
/** C0 but tab and line end, C1, and characters without a width or that change the order of others. */
const INVISIBLE = /[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;

/** The same text as people see it. */
export function showText(text: string): string {
  return text.toWellFormed().replace(TERMINAL_SEQUENCE, "").replace(INVISIBLE, "");
}

export function escapeHtml(text: string): string {
  return showText(text).replace(/[&<>"']/g, (character) => ENTITIES[character]!);
}

type Part = Html | string | number | undefined | false | readonly Part[];

/** A template whose values are escaped, but for those that are HTML already; lists are joined, undefined and false are nothing. */
export function html(strings: TemplateStringsArray, ...parts: readonly Part[]): Html {
  return new Html(strings.map((text, at) => text + (at < parts.length ? render(parts[at]) : "")).join(""));
}

/** The first pieces that take no more room than that. */
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
