/**
 * GitLab's marks of collapsible sections in a job's log (docs.gitlab.com, "Custom collapsible sections"): shown as nothing by a
 * terminal, and taken out by GitLab, which folds what stands between and shows how long it took.
 */

const CLEAR_LINE = "\r\x1b[0K";

/** Stands directly before the section's title. `id` is of letters, digits, `_`, `.` and `-`. */
export function formatSectionStartMark(
  id: string,
  atMs: number,
  { isFolded }: { isFolded: boolean },
): string {
  return `\x1b[0Ksection_start:${toSeconds(atMs)}:${id}${isFolded ? "[collapsed=true]" : ""}${CLEAR_LINE}`;
}

export function formatSectionEndMark(id: string, atMs: number): string {
  return `\x1b[0Ksection_end:${toSeconds(atMs)}:${id}${CLEAR_LINE}`;
}

const toSeconds = (epochMs: number) => Math.floor(epochMs / 1000);

/** A point in time, on the clock of the world and on the machine's own. */
export interface Moment {
  nowMs: number;
  uptimeMs: number;
}

/**
 * The end of what began at `start`: a board's clock may have been set in between, from 1970 to today, and what GitLab shows is
 * the difference.
 */
export function momentAfter(start: Moment, uptimeMs: number): Moment {
  return { nowMs: start.nowMs + (uptimeMs - start.uptimeMs), uptimeMs };
}
