/**
 * The phases of a job of ours as GitLab's sections on the console: all folded but the test's, so that the log opens at what
 * people look for.
 */
import type { PhaseName } from "../../job/phase-names.ts";
import {
  formatSectionEndMark,
  formatSectionStartMark,
  type Moment,
  momentAfter,
} from "../../wire/gitlab-section.ts";

export interface PhaseSections {
  started(phase: PhaseName): void;
  /** What is printed after it stands outside, and is seen: the phase's time, or its error. */
  ended(): void;
}

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

export function createPhaseSections({
  console: console_,
  readUptimeMs,
  nowMs,
}: PhaseSectionsOptions): PhaseSections {
  let open: { id: string; at: Moment } | undefined;
  return {
    started(phase) {
      const at = { nowMs: nowMs(), uptimeMs: readUptimeMs() };
      open = { id: `dutboot_${phase}`, at };
      console_.line(
        `${formatSectionStartMark(open.id, at.nowMs, { isFolded: phase !== "run" })}dutboot: ${TITLES[phase]}`,
      );
    },
    ended() {
      if (!open) return;
      console_.line(formatSectionEndMark(open.id, momentAfter(open.at, readUptimeMs()).nowMs));
      open = undefined;
    },
  };
}
