/**
 * Options of our own about how long things may take: the whole job, and each phase of it.
 */

import { PHASE_NAMES, type PhaseName } from "../phase-names.ts";
import { parseDuration } from "../syntax/values.ts";
import type { Option } from "./option.ts";

/** What an example of each phase's limit says. */
const EXAMPLES: Readonly<Record<PhaseName, string>> = {
  machine: "2m",
  fetch: "5m",
  assemble: "1m",
  artifact: "2m",
  run: "30m",
  upload: "3m",
  end: "1m",
};

const ON_DEADLINE: Readonly<Partial<Record<PhaseName, string>>> = {
  run: "; the test is told to stop, then killed, and its results still go out",
  upload: "; without it ten minutes, also behind the deadline of the job",
  end: "; without it ten minutes, also behind the deadline of the job",
};

export const LIMIT_OPTIONS: readonly Option[] = [
  {
    name: "dut.timeout",
    form: "DURATION",
    help: "The whole job's deadline, counted from the start of the agent: 90s, 15m, 2h, 1h30m",
    example: "dut.timeout=15m",
    read: (value, draft) => {
      draft.limits.timeoutMs = parseDuration(value);
    },
  },
  {
    name: "dut.sync",
    form: "DURATION|never",
    help: "How often results that have changed go out while the test runs, so that a hang loses no more; without it every 30 s",
    example: "dut.sync=10s",
    read: (value, draft) => {
      draft.limits.syncMs = value === "never" ? 0 : parseDuration(value);
    },
  },
  ...PHASE_NAMES.map(
    (phase): Option => ({
      name: `dut.timeout.${phase}`,
      form: "DURATION",
      help: `How long phase "${phase}" may take${ON_DEADLINE[phase] ?? ""}`,
      example: `dut.timeout.${phase}=${EXAMPLES[phase]}`,
      read: (value, draft) => {
        draft.limits.phasesMs = { ...draft.limits.phasesMs, [phase]: parseDuration(value) };
      },
    }),
  ),
];
