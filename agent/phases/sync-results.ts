/**
 * Uploads changed results at intervals while the test runs, so that a hang loses only the last interval.
 * This is best effort: it does not disturb the test, and a file that cannot be sent is tried again at the next turn and at the end.
 */
import { toAgentError } from "../errors.ts";
import type { ResultFile } from "../report/results/list-results.ts";
import {
  SYNC_BYTES_PER_SECOND,
  SYNC_FAILURES_MAX,
  SYNC_FILE_BYTES_PER_SECOND,
  SYNC_RETRY,
  SYNC_SCAN_SHARE,
  SYNC_STOP_GRACE_MS,
} from "./limits.ts";
import type { ResultsSender } from "./results-sender.ts";

/** Something else to do at each turn; a warning names it when it fails. */
export interface SyncHook {
  name: string;
  run(): void | Promise<void>;
}

export interface SyncOptions {
  intervalMs: number;
  hooks: readonly SyncHook[];
  /** Absent where the job names no destination for its results. */
  results?: {
    sender: ResultsSender;
    /** Without side effects on the files. */
    listFiles(): readonly ResultFile[];
    /** A file that says that the results are incomplete. */
    describePartial(): ResultFile;
  };
  warn(message: string): void;
  info(message: string): void;
  stopGraceMs?: number;
}

export interface ResultsSync {
  /** Waits for uploads under way, for a bounded time; nothing is sent afterwards. */
  stop(): Promise<void>;
}

interface KnownFile {
  /** As it was when it was sent. */
  stamp?: string;
  /** As performance.now() counts; for a file that was never tried, one interval before it was first listed. */
  triedAt: number;
}

export function startResultsSync(options: SyncOptions): ResultsSync {
  const { intervalMs, hooks, results } = options;
  /** What does not work at present: it was warned of already. */
  const outages = new Set<string>();
  const stop = new AbortController();
  const known = new Map<string, KnownFile>();
  let isStopping = false;
  let timer: NodeJS.Timeout | undefined;
  let turn: Promise<void> = Promise.resolve();
  let scanMs = 0;

  const noteOutage = (name: string, thrown: unknown) => {
    if (isStopping || outages.has(name)) return;
    outages.add(name);
    options.warn(
      `sync: ${name} cannot be saved while the test runs, retrying: ${toAgentError(thrown).message}`,
    );
  };
  const clearOutage = (name: string) => {
    if (outages.delete(name)) options.info(`sync: ${name} can be saved again`);
  };

  const sendChanged = async ({ sender, listFiles, describePartial }: NonNullable<typeof results>) => {
    const begunAt = performance.now();
    const chosen = chooseFiles(listFiles(), known, begunAt, intervalMs);
    scanMs = performance.now() - begunAt;
    let budgetBytes = (SYNC_BYTES_PER_SECOND * intervalMs) / 1000;
    let failures = 0;
    let hasSent = false;
    for (const { file, entry } of chosen) {
      if (isStopping || failures >= SYNC_FAILURES_MAX || budgetBytes <= 0) break;
      entry.triedAt = performance.now();
      budgetBytes -= file.sizeBytes;
      try {
        await sender.send(file, { signal: stop.signal, retry: SYNC_RETRY, tries: 1 });
        entry.stamp = file.stamp;
        hasSent = true;
        failures = 0;
      } catch (thrown) {
        failures += 1;
        noteOutage("results", thrown);
      }
    }
    if (failures === 0) clearOutage("results");
    if (!hasSent || isStopping) return;
    await sender.send(describePartial(), { signal: stop.signal, retry: SYNC_RETRY });
  };

  const takeTurn = async () => {
    const work: SyncHook[] = [...hooks];
    if (results) work.push({ name: "results", run: () => sendChanged(results) });
    for (const { name, run } of work) {
      try {
        await run();
        if (name !== "results") clearOutage(name);
      } catch (thrown) {
        noteOutage(name, thrown);
      }
    }
  };

  const schedule = (delayMs: number) => {
    if (isStopping) return;
    timer = setTimeout(() => {
      // Turns do not overlap.
      turn = takeTurn().then(() => schedule(Math.max(intervalMs, scanMs / SYNC_SCAN_SHARE)));
    }, delayMs);
    timer.unref();
  };
  schedule(intervalMs);

  return {
    async stop() {
      isStopping = true;
      clearTimeout(timer);
      const grace = setTimeout(
        () => stop.abort(new Error("The test is over")),
        options.stopGraceMs ?? SYNC_STOP_GRACE_MS,
      );
      const late = new Promise<void>((resolve) =>
        stop.signal.addEventListener("abort", () => setTimeout(resolve, 1_000)),
      );
      await Promise.race([turn, late]);
      clearTimeout(grace);
    },
  };
}

/** Changed files that were not sent too recently for their size: the longest untried first, then the smaller. */
function chooseFiles(
  files: readonly ResultFile[],
  known: Map<string, KnownFile>,
  now: number,
  intervalMs: number,
): { file: ResultFile; entry: KnownFile }[] {
  const names = new Set(files.map(({ name }) => name));
  for (const name of known.keys()) if (!names.has(name)) known.delete(name);
  const chosen: ReturnType<typeof chooseFiles> = [];
  for (const file of files) {
    const entry = known.get(file.name) ?? { triedAt: now - intervalMs };
    known.set(file.name, entry);
    const restMs = (file.sizeBytes / SYNC_FILE_BYTES_PER_SECOND) * 1000;
    if (entry.stamp !== file.stamp && now - entry.triedAt >= restMs) chosen.push({ file, entry });
  }
  return chosen.sort((a, b) => a.entry.triedAt - b.entry.triedAt || a.file.sizeBytes - b.file.sizeBytes);
}
