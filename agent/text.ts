/**
 * Numbers, times and names in logs and reports, in the same form on the DUT and on the host.
 */

/** `12,345`. `toLocaleString` would load the language's rules, which takes 15 ms. */
export function formatCount(count: number): string {
  return String(count).replace(/\B(?=(\d{3})+$)/g, ",");
}

/** Decimal megabytes: `12.3`. */
export function formatMegabytes(bytes: number): string {
  return (bytes / 1e6).toFixed(1);
}

/** `1.5 s` for 1500 ms. */
export function formatSeconds(durationMs: number): string {
  return `${(durationMs / 1000).toFixed(1)} s`;
}

/** The first `maxLength` characters, with an ellipsis in place of the rest. */
export function truncate(text: string, maxLength: number): string {
  return text.length > maxLength ? `${text.slice(0, maxLength)}…` : text;
}

/** The start and the end of the text with an ellipsis between them: names often differ only at one end. */
export function truncateMiddle(text: string, maxLength: number): string {
  if (text.length <= maxLength) return text;
  const half = Math.floor((maxLength - 1) / 2);
  return `${text.slice(0, half)}…${text.slice(text.length - half)}`;
}
