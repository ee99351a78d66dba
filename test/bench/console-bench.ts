/**
 * Measures what a slow console costs the test: 50 MB are printed with a console of 115,200 baud and without one, in turns; and how long
 * after the test's end the verdict is complete on the line. The console is a pseudo-terminal that is read at the UART's rate.
 */
import { fileURLToPath } from "node:url";
import { openPseudoTerminal } from "../servers/pseudo-terminal.ts";
import type { ConsoleRun } from "./console-child.ts";
import { formatSpread, measureSpread } from "./statistics.ts";
import { runTimed } from "./timed-process.ts";

const BYTES_PER_SECOND = 11_520;
const LINES = 620_000;
/** 50 MB of lines as dEQP's runner prints them, as fast as awk can, with a result now and then. */
const PROGRAM = `BEGIN { for (i = 1; i <= ${LINES}; i++) {
  print "[00:12:34] Pass: " i ", Fail: 0, Skip: 0 dEQP-VK.api.smoke.triangle, and some more text";
  if (i % 100000 == 0) print "hwci: mesa: result " i } }`;
const CHILD = fileURLToPath(new URL("console-child.ts", import.meta.url));
const TIME_MARK = 1.05;
const VERDICT_MARK_MS = 3_000;

const VERDICT = "exit_code=0\r\n";

interface ConsoleRound {
  without: ConsoleRun;
  with: ConsoleRun;
  /** From the test's end to the last byte of the verdict's line. */
  verdictMs: number;
  shownBytes: number;
}

export async function benchConsole(
  runs: number,
  { log, signal }: { log: (line: string) => void; signal: AbortSignal },
): Promise<{ rounds: ConsoleRound[]; table: string; missed: string[] }> {
  const rounds: ConsoleRound[] = [];
  for (let run = 0; run < runs; run++) {
    // They take turns to be first.
    const first = run % 2 === 0 ? await runChild("none", signal) : undefined;
    const seen = await runOnTerminal(signal);
    rounds.push({ without: first ?? (await runChild("none", signal)), ...seen });
    log(`run ${run + 1}: ${describe(rounds.at(-1)!)}`);
  }
  return { rounds, ...summarize(rounds) };
}

async function runOnTerminal(signal: AbortSignal): Promise<Omit<ConsoleRound, "without">> {
  let last = "";
  let verdictAtMs = Number.NaN;
  const terminal = openPseudoTerminal({
    bytesPerSecond: BYTES_PER_SECOND,
    onData: (bytes) => {
      last = (last + bytes.toString("latin1")).slice(-VERDICT.length);
      if (last === VERDICT) verdictAtMs = Date.now();
    },
  });
  try {
    const run = await runChild(terminal.path, signal);
    // The pseudo-terminal still holds some bytes.
    for (let tries = 0; Number.isNaN(verdictAtMs) && tries < 1000; tries++) {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    return { with: run, verdictMs: verdictAtMs - run.endedAtMs, shownBytes: terminal.text.length };
  } finally {
    terminal.close();
  }
}

async function runChild(path: string, signal: AbortSignal): Promise<ConsoleRun> {
  const words = [process.execPath, CHILD, path, String(BYTES_PER_SECOND), PROGRAM];
  return JSON.parse((await runTimed("the console's child", words, { signal })).output) as ConsoleRun;
}

function describe({ without, with: seen, verdictMs, shownBytes }: ConsoleRound): string {
  return `${without.testMs.toFixed(0)} ms without, ${seen.testMs.toFixed(0)} ms with, verdict after ${verdictMs} ms, ${shownBytes} bytes shown`;
}

function summarize(rounds: readonly ConsoleRound[]): { table: string; missed: string[] } {
  const spread = (read: (round: ConsoleRound) => number) => measureSpread(rounds.map(read));
  const median = (read: (round: ConsoleRound) => number) => spread(read).median;
  // Of the medians: runs of 0.3 s differ by more than the effect.
  const ratio = median((round) => round.with.testMs) / median((round) => round.without.testMs);
  const verdict = spread(({ verdictMs }) => verdictMs / 1000);
  const table = [
    "| | none | 115,200 baud |",
    "| --- | --- | --- |",
    `| test, s | ${formatSpread(spread((round) => round.without.testMs / 1000))} | ${formatSpread(spread((round) => round.with.testMs / 1000))} |`,
    `| agent's processor time, s | ${formatSpread(spread((round) => round.without.cpuMs / 1000))} | ${formatSpread(spread((round) => round.with.cpuMs / 1000))} |`,
    `| ratio | | ${ratio.toFixed(3)} (mark ${TIME_MARK}) |`,
    `| verdict after the test's end, s | | ${formatSpread(verdict)} |`,
  ].join("\n");
  const missed: string[] = [];
  if (!(ratio <= TIME_MARK)) missed.push(`time ${ratio.toFixed(3)}, mark ${TIME_MARK}`);
  if (!(verdict.max * 1000 <= VERDICT_MARK_MS))
    missed.push(`verdict after ${verdict.max.toFixed(1)} s, mark 3`);
  return { table, missed };
}
