/**
 * Options of ours that limit the time of the job and of each phase.
 */

import { PHASE_NAMES, type PhaseName } from "../job.ts";
import { type DutOption, set, toLimits } from "../option.ts";
import { parseDuration } from "../syntax/values.ts";

const PHASE_EXAMPLES: Readonly<Record<PhaseName, string>> = {
  machine: "2m",
  fetch: "5m",
  assemble: "1m",
  artifact: "2m",
  run: "30m",
  upload: "3m",
  end: "1m",
};

const PHASE_NOTES: Readonly<Partial<Record<PhaseName, string>>> = {
  run: "; then the test is asked to stop and killed, and its results are still uploaded",
  upload: "; ten minutes by default, also after the job's deadline",
  end: "; ten minutes by default, also after the job's deadline",
};

export const LIMIT_OPTIONS: readonly DutOption[] = [
  {
    name: "dut.timeout",
    form: "DURATION",
    help: "The deadline of the whole job, counted from the start of the agent: 90s, 15m, 2h, 1h30m",
    example: "dut.timeout=15m",
    read: set(toLimits, "timeoutMs", parseDuration),
  },
  {
    name: "dut.sync",
    form: "DURATION|never",
    help: "How often changed results are uploaded while the test runs, so that a hang loses at most this much; every 30 s by default",
    example: "dut.sync=10s",
    read: set(toLimits, "syncMs", (text) => (text === "never" ? 0 : parseDuration(text))),
  },
  ...PHASE_NAMES.map(
    (phase): DutOption => ({
      name: `dut.timeout.${phase}`,
      form: "DURATION",
      help: `How long the phase "${phase}" may take${PHASE_NOTES[phase] ?? ""}`,
      example: `dut.timeout.${phase}=${PHASE_EXAMPLES[phase]}`,
      read: (value, { limits }) => {
        limits.phasesMs = { ...limits.phasesMs, [phase]: parseDuration(value) };
      },
    }),
  ),
];
