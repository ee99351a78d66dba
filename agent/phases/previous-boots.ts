/**
 * What earlier boots left on the cache device: those that did not come to their end are told, and results that were never
 * uploaded go out under the job they belong to. None of it may fail or hold up the job of this boot: all is bounded and warned of.
 */
import { AgentError, toAgentError } from "../errors.ts";
import type { startProgress } from "../report/log/progress.ts";
import type { ResultList } from "../report/results/list-results.ts";
import type { Journals } from "../store/journals.ts";
import { formatMegabytes, formatSeconds } from "../text.ts";
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
  /** The kernel's last words as the firmware or memory kept them; `save` puts them where they belong, by the boot they are of. */
  lastWords: { panic?: string; save(bootId: string | undefined): Promise<void> };
  /** All that is to be uploaded of a boot. */
  listResults(journal: BootJournal): ResultList;
  /** Undefined where this boot's job does not know the services of that place. Throws what connecting to it does. */
  openPlace(journal: BootJournal): Promise<{ sender: ResultsSender; close(): void } | undefined>;
  emit(event: EventBody): void;
  startProgress: typeof startProgress;
  readFreeBytes(): number;
  limits?: Partial<PreviousBootLimits>;
}

export interface PreviousBoots {
  /** So many boots of this very line, one after the other, did not end before this one. */
  deaths: number;
}

type Work = PreviousBootsAdapters & { context: PhaseContext; limits: PreviousBootLimits };

/** Throws nothing but the reason of `context.signal`. */
export async function settlePreviousBoots(
  context: PhaseContext,
  adapters: PreviousBootsAdapters,
): Promise<PreviousBoots> {
  const { log } = context;
  const work: Work = { ...adapters, context, limits: { ...PREVIOUS_BOOT_LIMITS, ...adapters.limits } };
  const { journals, own } = adapters;
  let deaths = 0;
  try {
    const found = (await journals.list()).filter(({ bootId }) => bootId !== own.bootId);
    const news = found.filter(({ isTold }) => !isTold);
    const died = news.filter(({ state }) => state === "running");
    for (const { line, deathsBefore } of died)
      if (line === own.line) deaths = Math.max(deaths, deathsBefore + 1);
    await adapters.lastWords.save(died.at(-1)?.bootId);
    const told: BootJournal[] = [];
    for (const journal of found) told.push(await tell(journal, journal === died.at(-1), work));
    await sendAll(told, work);
  } catch (thrown) {
    context.signal.throwIfAborted();
    log.warn(`previous boot: what it left is not dealt with: ${toAgentError(thrown).message}`);
  }
  return { deaths };
}

/** A farm that boots whatever it has until it hears of an end would do so all night. Throws JOB_BOOT_LOOP. */
export function refuseBootLoop({ deaths }: PreviousBoots): void {
  if (deaths < BOOT_LOOP_DEATHS) return;
  throw new AgentError(
    "JOB_BOOT_LOOP",
    `Cannot run this job again: the last ${deaths} boots of it did not come to their end`,
  );
}

/** Once for each; what is told is remembered, so that it counts once. */
async function tell(journal: BootJournal, isLast: boolean, work: Work): Promise<BootJournal> {
  if (journal.isTold) return journal;
  const { bootId, state, phase, step, uptimeMs } = journal;
  const { log } = work.context;
  const panic = isLast && state === "running" ? work.lastWords.panic : undefined;
  const at = `in phase ${phase}${step === null ? "" : `, ${step}`}`;
  if (state === "ended") {
    const how = journal.verdict?.error ? ` with ${journal.verdict.error.code}` : "";
    log.warn(`previous boot ${bootId} ended${how} and could not upload its results`);
  }
  if (state === "running") {
    const cause = panic === undefined ? "" : `: ${panic}`;
    log.warn(
      `previous boot ${bootId} died ${at}, ${formatSeconds(uptimeMs)} or more after its start${cause}`,
    );
  }
  work.emit({
    event: "previous_boot",
    bootId,
    state,
    phase,
    step,
    uptimeMs,
    panic,
  });
  const failure = { phase, error: createDeathError(journal, at, panic) };
  const verdict =
    journal.verdict ?? createVerdict({ bootId, records: journal.phases, firstFailure: failure }, null);
  const told = { ...journal, isTold: true, verdict };
  await remember(told, work);
  return told;
}

/** A disk that takes nothing any more may yet be read, and is emptied by that. */
async function remember(journal: BootJournal, { journals, context }: Work): Promise<void> {
  try {
    await journals.write(journal);
  } catch (error) {
    context.log.warn(
      `previous boot ${journal.bootId}: its journal cannot be written: ${(error as Error).message}`,
    );
  }
}

function createDeathError({ bootId, uptimeMs }: BootJournal, at: string, panic?: string): AgentError {
  const told = `boot ${bootId} stopped ${at}, ${formatSeconds(uptimeMs)} or more after its start, without an end`;
  return panic === undefined
    ? new AgentError("MACHINE_DIED", `Cannot know how the test ended: ${told}; a later boot tells it`)
    : new AgentError("KERNEL_PANIC", `Cannot know how the test ended: ${told}: ${panic}`, {
        hint: "Look at the kernel's last words, in pstore/ beside this",
      });
}

async function sendAll(journals: readonly BootJournal[], work: Work): Promise<void> {
  const { context, limits } = work;
  const timeout = AbortSignal.timeout(limits.timeMs);
  const signal = AbortSignal.any([context.signal, timeout]);
  const kept: BootJournal[] = [];
  for (const journal of journals) {
    if (!(await sendOne(journal, signal, work))) kept.push(journal);
    context.signal.throwIfAborted();
  }
  await dropExcess(kept, work);
}

/** Whether it is done with. */
async function sendOne(journal: BootJournal, signal: AbortSignal, work: Work): Promise<boolean> {
  const { journals, context, limits } = work;
  const { log } = context;
  const { bootId, results } = journal;
  if (!results) {
    await journals.drop(bootId);
    return true;
  }
  const attempts = journal.attempts + 1;
  try {
    const place = await work.openPlace(journal);
    if (!place) {
      log.warn(`previous boot ${bootId}: its results are kept: this job does not use the service they go to`);
      return false;
    }
    try {
      // Before it is tried: a boot that dies of it must not die of it for ever.
      await remember({ ...journal, attempts }, work);
      await uploadResults(null, { log, signal }, planUpload(journal, place.sender, work));
      const { size } = place.sender.sent;
      log.info(`previous boot: uploaded ${size} files of boot ${bootId} to ${place.sender.place}`);
    } finally {
      place.close();
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

function planUpload(journal: BootJournal, sender: ResultsSender, work: Work) {
  const { bootId, verdict } = journal;
  return {
    sender,
    bootId,
    listResults: () => work.listResults(journal),
    formatVerdictFile: () => `${JSON.stringify(verdict, null, 2)}\n`,
    startProgress: work.startProgress,
  };
}

/** What waits for a job that may never come must not take the cache from those that do. */
async function dropExcess(kept: readonly BootJournal[], work: Work): Promise<void> {
  const { journals, limits, context, readFreeBytes } = work;
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
      `previous boot ${bootId}: ${formatMegabytes(sizeBytes)} MB of results are dropped: the cache keeps no more of those that wait`,
    );
    await journals.drop(bootId);
    totalBytes -= sizeBytes;
  }
}
