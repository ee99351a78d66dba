/**
 * The phases of a dutboot job as GitLab sections on the console, all collapsed except the test's.
 */
import type { PhaseName } from "../../job/job.ts";
import {
  formatSectionEndMark,
  formatSectionStartMark,
  type Moment,
  momentAfter,
} from "../../wire/gitlab-section.ts";

export interface PhaseSectionsOptions {
  console: { line(text: string): void };
  readUptimeMs: () => number;
  /** Milliseconds since 1970, as well as they are known. */
  nowMs: () => number;
}

const TITLES: Readonly<Record<PhaseName, string>> = {
  machine: "machine: drivers, network, clock and store",
  fetch: "fetch: what the root is made of",
  assemble: "assemble: the root and its volumes",
  artifact: "artifact: archives unpacked into the root",
  run: "run: the test",
  upload: "upload: the results",
  end: "end: the disks",
};

export function createPhaseSections({ console: console_, readUptimeMs, nowMs }: PhaseSectionsOptions) {
  let open: { id: string; at: Moment } | undefined;
  return {
    started(phase: PhaseName) {
      const at = { nowMs: nowMs(), uptimeMs: readUptimeMs() };
      open = { id: `dutboot_${phase}`, at };
      const mark = formatSectionStartMark(open.id, at.nowMs, { isFolded: phase !== "run" });
      console_.line(`${mark}dutboot: ${TITLES[phase]}`);
    },
    /** What is printed next is outside the section, and therefore visible: the phase's time or its error. */
    ended() {
      if (!open) return;
      console_.line(formatSectionEndMark(open.id, momentAfter(open.at, readUptimeMs()).nowMs));
      open = undefined;
    },
  };
}
