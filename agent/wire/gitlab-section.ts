/**
 * GitLab's marks of collapsible sections in a job's log (docs.gitlab.com, "Custom collapsible sections"). A terminal does not show them;
 * GitLab removes them, folds the section and shows how long it took.
 */
const CLEAR_LINE = "\r\x1b[0K";

/** Directly before the section's title. `id` consists of letters, digits, `_`, `.` and `-`. */
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

export interface Moment {
  /** Since 1970. */
  nowMs: number;
  /** Since power-on. */
  uptimeMs: number;
}

/** The end of what started at `start`, by the uptime: the clock may have been set meanwhile, and GitLab shows the difference. */
export function momentAfter(start: Moment, uptimeMs: number): Moment {
  return { nowMs: start.nowMs + (uptimeMs - start.uptimeMs), uptimeMs };
}
