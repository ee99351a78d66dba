/**
 * What earlier boots left on the cache device: reports those that did not end, and uploads their results to where their own jobs
 * wanted them. Failures are warnings and the time is bounded, so that the present job still runs.
 */
import { AgentError, toAgentError } from "../errors.ts";
import type { startProgress } from "../report/log/progress.ts";
import type { ResultList } from "../report/results/list-results.ts";
import type { Journals } from "../store/journals.ts";
import { formatMegabytes } from "../text.ts";
import type { BootJournal } from "../wire/boot-journal.ts";
import type { EventBody } from "../wire/event.ts";
import { createVerdict } from "../wire/verdict.ts";
import { BOOT_LOOP_DEATHS, PREVIOUS_BOOT_LIMITS, type PreviousBootLimits } from "./limits.ts";
import type { PhaseContext } from "./phase-runner.ts";
import type { ResultsSender } from "./results-sender.ts";
import { uploadResults } from "./upload.ts";

export interface PreviousBootsAdapters {
  journals: Journals;
  /** Of this boot. */
  own: Pick<BootJournal, "bootId" | "line">;
  /** Crash records that firmware or memory kept; `save` stores them with the boot they are from. */
  crash: { panic?: string; save(bootId: string | undefined): Promise<void> };
  /** The files to upload of a boot. */
  listResults(journal: BootJournal): ResultList;
  /** undefined where the present job does not use the server of that destination. Throws connection errors. */
  openDestination(journal: BootJournal): Promise<{ sender: ResultsSender; close(): void } | undefined>;
  emit(event: EventBody): void;
  startProgress: typeof startProgress;
  readFreeBytes(): number;
  limits?: Partial<PreviousBootLimits>;
}

export interface PreviousBoots {
  /** Consecutive boots of the same command line before this one that did not end. */
  deaths: number;
}

type Tools = PreviousBootsAdapters & { context: PhaseContext; limits: PreviousBootLimits };

/** Throws only the reason of `context.signal`. */
export async function settlePreviousBoots(
  context: PhaseContext,
  adapters: PreviousBootsAdapters,
): Promise<PreviousBoots> {
  const { log } = context;
  const tools: Tools = { ...adapters, context, limits: { ...PREVIOUS_BOOT_LIMITS, ...adapters.limits } };
  const { journals, own } = adapters;
  let deaths = 0;
  try {
    const earlier = (await journals.list()).filter(({ bootId }) => bootId !== own.bootId);
    const died = earlier.filter(({ isTold, state }) => !isTold && state === "running");
    for (const { line, deathsBefore } of died)
      if (line === own.line) deaths = Math.max(deaths, deathsBefore + 1);
    await adapters.crash.save(died.at(-1)?.bootId);
    const reported: BootJournal[] = [];
    for (const journal of earlier) reported.push(await report(journal, journal === died.at(-1), tools));
    await uploadAll(reported, tools);
  } catch (thrown) {
    context.signal.throwIfAborted();
    log.warn(`previous boot: cannot process what it left: ${toAgentError(thrown).message}`);
  }
  return { deaths };
}

/** Some farms boot a job again until it ends. Throws JOB_BOOT_LOOP. */
export function checkBootLoop({ deaths }: PreviousBoots): void {
  if (deaths < BOOT_LOOP_DEATHS) return;
  throw new AgentError("JOB_BOOT_LOOP", `Cannot run this job again: its last ${deaths} boots did not end`);
}

/** Reports each boot once. */
async function report(journal: BootJournal, isLast: boolean, tools: Tools): Promise<BootJournal> {
  if (journal.isTold) return journal;
  const { bootId, state, phase, step, uptimeMs } = journal;
  const { log } = tools.context;
  const panic = isLast && state === "running" ? tools.crash.panic : undefined;
  const at = `in phase ${phase}${step === null ? "" : `, ${step}`}`;
  if (state === "ended") {
    const how = journal.verdict?.error ? ` with ${journal.verdict.error.code}` : "";
    log.warn(`previous boot ${bootId} ended${how} and could not upload its results`);
  }
  if (state === "running") {
    const cause = panic === undefined ? "" : `: ${panic}`;
    log.warn(
      `previous boot ${bootId} died ${at}, ${formatWholeSeconds(uptimeMs)} or more after its start${cause}`,
    );
  }
  tools.emit({ event: "previous_boot", bootId, state, phase, step, uptimeMs, panic });
  const failure = { phase, error: createDeathError(journal, at, panic) };
  const verdict =
    journal.verdict ?? createVerdict({ bootId, records: journal.phases, firstFailure: failure }, null);
  const reported = { ...journal, isTold: true, verdict };
  await writeJournal(reported, tools);
  return reported;
}

/** A failure is only a warning: results can still be uploaded from a disk that can only be read. */
async function writeJournal(journal: BootJournal, { journals, context }: Tools): Promise<void> {
  try {
    await journals.write(journal);
  } catch (error) {
    context.log.warn(
      `previous boot ${journal.bootId}: its journal cannot be written: ${(error as Error).message}`,
    );
  }
}

function createDeathError({ bootId, uptimeMs }: BootJournal, at: string, panic?: string): AgentError {
  const death = `boot ${bootId} stopped ${at}, ${formatWholeSeconds(uptimeMs)} or more after its start, without an end`;
  return panic === undefined
    ? new AgentError("MACHINE_DIED", `Cannot know how the test ended: ${death}; a later boot reports this`)
    : new AgentError("KERNEL_PANIC", `Cannot know how the test ended: ${death}: ${panic}`, {
        hint: "Look at the crash records in pstore/ beside this file",
      });
}

async function uploadAll(journals: readonly BootJournal[], tools: Tools): Promise<void> {
  const { context, limits } = tools;
  const timeout = AbortSignal.timeout(limits.timeMs);
  const signal = AbortSignal.any([context.signal, timeout]);
  const kept: BootJournal[] = [];
  for (const journal of journals) {
    if (!(await uploadOne(journal, signal, tools))) kept.push(journal);
    context.signal.throwIfAborted();
  }
  await dropExcess(kept, tools);
}

/** The time of the last record is not exact. */
function formatWholeSeconds(durationMs: number): string {
  return `${Math.round(durationMs / 1000)} s`;
}

/** False where the results are kept for a later boot. */
async function uploadOne(journal: BootJournal, signal: AbortSignal, tools: Tools): Promise<boolean> {
  const { journals, context, limits } = tools;
  const { log } = context;
  const { bootId, results } = journal;
  if (!results) {
    await journals.drop(bootId);
    return true;
  }
  const attempts = journal.attempts + 1;
  try {
    const destination = await tools.openDestination(journal);
    if (!destination) {
      log.warn(`previous boot ${bootId}: its results are kept: this job does not use their server`);
      return false;
    }
    try {
      // Counted first, as the attempt itself may crash the machine.
      await writeJournal({ ...journal, attempts }, tools);
      const { sender } = destination;
      await uploadResults(
        null,
        { log, signal },
        {
          sender,
          bootId,
          listResults: () => tools.listResults(journal),
          formatVerdictFile: () => `${JSON.stringify(journal.verdict, null, 2)}\n`,
          startProgress: tools.startProgress,
        },
      );
      log.info(
        `previous boot: uploaded ${sender.sent.size} files of boot ${bootId} to ${sender.destination}`,
      );
    } finally {
      destination.close();
    }
    await journals.drop(bootId);
    return true;
  } catch (thrown) {
    const isLast = attempts >= limits.attempts;
    const then = isLast ? "given up" : `kept for the next boot (${attempts} of ${limits.attempts} tries)`;
    log.warn(`previous boot ${bootId}: its results are ${then}: ${toAgentError(thrown).message}`);
    if (isLast) await journals.drop(bootId);
    return isLast;
  }
}

/** Results whose server no job may ever use again must not fill the cache. */
async function dropExcess(kept: readonly BootJournal[], tools: Tools): Promise<void> {
  const { journals, limits, context, readFreeBytes } = tools;
  const waiting = kept.map((journal) => ({ journal, sizeBytes: journals.measure(journal.bootId) }));
  let totalBytes = waiting.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  while (waiting.length > 0) {
    const isOver =
      waiting.length > limits.keptBoots ||
      totalBytes > limits.keptBytes ||
      readFreeBytes() < limits.reserveBytes;
    if (!isOver) return;
    const { journal, sizeBytes } = waiting.shift()!;
    const { bootId } = journal;
    context.log.warn(
      `previous boot ${bootId}: ${formatMegabytes(sizeBytes)} MB of results are dropped: too many results are waiting in the cache`,
    );
    await journals.drop(bootId);
    totalBytes -= sizeBytes;
  }
}
