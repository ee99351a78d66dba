/**
 * Numbers and names as people read them in a report.
 */
import { truncateMiddle } from "../text.ts";

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
