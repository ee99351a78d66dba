import { expect, it } from "vitest";
import { createPhaseSections } from "../../../../agent/report/console/gitlab-sections.ts";

it("opens and closes GitLab's sections, with the right duration when the clock is set meanwhile", () => {
  const lines: string[] = [];
  let [nowMs, uptimeMs] = [5_000, 7_000];
  const sections = createPhaseSections({
    console: { line: (text) => lines.push(text) },
    readUptimeMs: () => uptimeMs,
    nowMs: () => nowMs,
  });
  sections.started("machine");
  // NTP answers: from 1970 to 2023.
  [nowMs, uptimeMs] = [1_700_000_000_000, 19_000];
  sections.ended();
  sections.ended();
  sections.started("run");
  [nowMs, uptimeMs] = [1_700_000_090_000, 109_000];
  sections.ended();
  expect(lines).toEqual([
    "\x1b[0Ksection_start:5:dutboot_machine[collapsed=true]\r\x1b[0Kdutboot: machine: drivers, network, clock and store",
    "\x1b[0Ksection_end:17:dutboot_machine\r\x1b[0K",
    "\x1b[0Ksection_start:1700000000:dutboot_run\r\x1b[0Kdutboot: run: the test",
    "\x1b[0Ksection_end:1700000090:dutboot_run\r\x1b[0K",
  ]);
});
