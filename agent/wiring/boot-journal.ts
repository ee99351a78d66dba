/**
 * The journal of this boot on the cache device, with its results beside it while the boot runs; and what earlier boots left there.
 */
import { cpSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Job } from "../job/job.ts";
import { isKernelError, MS_BIND, mount, umount } from "../kernel/syscalls.ts";
import type { ResultsUploader } from "../net/uploads/results-uploader.ts";
import { PATHS } from "../paths.ts";
import { RESULTS_RESERVE_BYTES } from "../phases/limits.ts";
import type { PhaseContext } from "../phases/phase-runner.ts";
import { checkBootLoop, settlePreviousBoots } from "../phases/previous-boots.ts";
import { createResultsSender } from "../phases/results-sender.ts";
import { startProgress } from "../report/log/progress.ts";
import { takeSnapshot } from "../report/results/file-snapshot.ts";
import { listResults, type ResultList } from "../report/results/list-results.ts";
import { type Journals, openJournals } from "../store/journals.ts";
import type { OpenStore } from "../store/open-store.ts";
import { type CrashRecords, readCrashRecords } from "../sys/machine/pstore.ts";
import { readUptimeMs } from "../sys/machine/uptime.ts";
import { formatMegabytes, truncate } from "../text.ts";
import { MiB } from "../units.ts";
import {
  BOOT_TEXT_MAX_LENGTH,
  type BootJournal,
  describeDestination,
  resolveDestination,
} from "../wire/boot-journal.ts";
import type { EventBody } from "../wire/event.ts";
import type { Verdict } from "../wire/verdict.ts";
import type { BootContext } from "./boot-context.ts";
import type { Connection } from "./connection.ts";
import { createUploader, describePartial, PARTIAL_NAME } from "./results.ts";

const STEP_NAME_LENGTH = 60;
/** Of a log, what is copied back into RAM when the cache is released: the events of hours, but not all that a test printed. */
const LOG_BACK_MAX_BYTES = 16 * MiB;

export interface JournalWriter {
  /** Reports earlier boots that did not end and uploads what they left. Throws JOB_BOOT_LOOP when there were too many. */
  settlePrevious(phase: PhaseContext): Promise<void>;
  /** Before the store is released: moves the results back, and keeps on the device what was not uploaded. */
  finish(verdict: Verdict): Promise<void>;
}

/** Keeps a journal only where the store is on a device of this machine: nothing else outlives the boot. */
export async function openJournalWriter(
  job: Job,
  connection: Connection,
  store: OpenStore,
  context: BootContext,
): Promise<JournalWriter> {
  const { bootId, files, log, redaction, syncHooks, warn } = context;
  const crash = readCrashRecords(warn);
  const withoutJournal: JournalWriter = {
    settlePrevious: async () => addToResults(crash, context),
    finish: async () => clearIfUploaded(crash, job, context),
  };
  if (store.outcome.kind !== "device") return withoutJournal;
  const journals = openJournals(store.layout);
  const journal = followBoot(job, journals, context);
  try {
    await journal.write();
    mkdirSync(journals.folderOf(bootId), { recursive: true });
    symlinkSync(journals.folderOf(bootId), PATHS.kept);
  } catch (error) {
    await journal.close();
    warn(`journal: this boot goes on without one: ${(error as Error).message}`);
    return withoutJournal;
  }
  const hasMoved = job.results !== undefined && moveResults(journals, store, context);
  syncHooks.push({ name: "the journal", run: journal.sync });
  /** Keeps the crash records with the boot they belong to; they are deleted from pstore only once they are on the disk. */
  const saveCrash = async (crashedBootId: string | undefined) => {
    addToResults(crash, context);
    if (crash.records.length === 0 || (crashedBootId === undefined && !hasMoved)) return;
    try {
      if (crashedBootId !== undefined) {
        const folder = journals.findingsOf(crashedBootId);
        mkdirSync(folder, { recursive: true });
        for (const { name, text } of crash.records) writeFileSync(join(folder, name), redaction.clean(text));
      }
      await journals.flush();
      crash.clear();
    } catch (error) {
      warn(`pstore: the records stay there: ${(error as Error).message}`);
    }
  };
  return {
    async settlePrevious(phase) {
      const { deaths } = await settlePreviousBoots(phase, {
        journals,
        own: journal.read(),
        startProgress,
        readFreeBytes: store.readFreeBytes,
        emit: context.events.emit,
        crash: { panic: crash.panic, save: saveCrash },
        listResults: (left) => listLeft(left, journals),
        openDestination: (left) => openDestination(left, job, connection, context),
      });
      await journal.setDeaths(deaths);
      checkBootLoop({ deaths });
    },
    async finish(verdict) {
      await journal.close();
      if (hasMoved)
        files.moveLogs(() => umount(PATHS.results, { lazy: true }), { maxBytes: LOG_BACK_MAX_BYTES });
      clearIfUploaded(crash, job, context);
      try {
        if (isUploaded(job, context)) await journals.drop(bootId);
        else
          await journals.write({ ...journal.read(), state: "ended", verdict: redaction.cleanValue(verdict) });
      } catch (error) {
        log.warn(
          `journal: boot record not saved, so the next boot will report this boot as lost: ${(error as Error).message}`,
        );
      }
    },
  };
}

/** Writes the journal at each event that changes it. */
function followBoot(job: Job, journals: Journals, context: BootContext) {
  const { bootId, build, runner, redaction, events, warn } = context;
  const line = redaction.clean(context.source.line.trim());
  const startedAtMs = Date.now();
  const running = new Map<string, string>();
  let phase = "machine";
  let deathsBefore = 0;
  let isOpen = true;

  const read = (): BootJournal => ({
    version: 1,
    bootId,
    agent: build.version,
    startedAtMs,
    phase,
    deathsBefore,
    line: line.replace(/[\x00-\x1f\x7f]+/g, " ").slice(0, BOOT_TEXT_MAX_LENGTH),
    uptimeMs: readUptimeMs(),
    state: "running",
    step: [...running.values()].at(-1) ?? null,
    phases: [...runner.records],
    results: describeDestination(job),
    isTold: false,
    attempts: 0,
    verdict: null,
  });
  const warnOf = (error: unknown) => warn(`journal: it cannot be written: ${(error as Error).message}`);
  const write = async () => {
    if (isOpen) await journals.write(read());
  };
  const writeAndFlush = async () => {
    await write();
    if (isOpen) await journals.flush();
  };
  let works: Promise<unknown> = Promise.resolve();
  const sync = () => {
    const done = writeAndFlush();
    works = Promise.allSettled([works, done]);
    return done;
  };
  events.follow((body: EventBody) => {
    if (!isOpen) return;
    if (body.event === "end") {
      // The agent ends without releasing the disks, and nothing is written after it.
      isOpen = false;
      journals.writeNow({ ...read(), state: "ended", verdict: redaction.cleanValue(body.verdict) });
      return;
    }
    if (body.event === "phase_start") phase = body.phase;
    else if (body.event === "step_start")
      running.set(body.id, `${body.kind} step "${formatStepName(body.name)}"`);
    else if (body.event === "step_end") running.delete(body.id);
    else return;
    sync().catch(warnOf);
  });
  return {
    read,
    write,
    sync,
    async setDeaths(deaths: number) {
      deathsBefore = deaths;
      await write().catch(warnOf);
    },
    /** Waits for writes under way: the disk can be unmounted afterwards. */
    async close() {
      isOpen = false;
      await works;
    },
  };
}

/** A step's name is its whole command. */
function formatStepName(name: string): string {
  return truncate(name.replace(/[\x00-\x1f\x7f]+/g, " "), STEP_NAME_LENGTH);
}

/** Moves the results to the cache device, where a power cut does not lose them, unless that leaves too little room. */
function moveResults(journals: Journals, store: OpenStore, { warn, files, bootId }: BootContext): boolean {
  const freeBytes = store.readFreeBytes();
  const failure = "results: they stay in RAM, and a power cut loses them:";
  if (freeBytes < RESULTS_RESERVE_BYTES) {
    warn(`${failure} the cache has only ${formatMegabytes(freeBytes)} MB free`);
    return false;
  }
  const folder = journals.resultsOf(bootId);
  try {
    mkdirSync(folder, { recursive: true });
    cpSync(files.folder, folder, { recursive: true });
    const bind = () => mount({ source: folder, target: files.folder, flags: MS_BIND });
    files.moveLogs(bind, { maxBytes: Number.POSITIVE_INFINITY });
    return true;
  } catch (error) {
    warn(`${failure} ${(error as Error).message}`);
    return false;
  }
}

const isUploaded = ({ results }: Job, { runner }: BootContext) =>
  !results || runner.records.some(({ name, outcome }) => name === "upload" && outcome === "done");

function addToResults({ records, panic }: CrashRecords, { log, warn, files, redaction }: BootContext): void {
  if (panic !== undefined) warn(`pstore: an earlier boot's last words: ${panic}`);
  for (const { name, text } of records) files.write(`previous-boot/${name}`, redaction.clean(text));
  if (records.length > 0) log.info(`pstore: ${records.length} records of an earlier boot`);
}

/** There is no other copy of the records: they are deleted from pstore only when the results are uploaded. */
function clearIfUploaded(crash: CrashRecords, job: Job, context: BootContext): void {
  if (job.results && isUploaded(job, context)) crash.clear();
}

/** Made again for the boot that is uploaded late. */
const RECORDS = ["manifest.json", "verdict.json", PARTIAL_NAME];

function listLeft({ bootId, phase, uptimeMs }: BootJournal, journals: Journals): ResultList {
  const findings = listResults(journals.findingsOf(bootId)).files.map((file) => ({
    ...file,
    name: `pstore/${file.name}`,
  }));
  const taken = new Set([...RECORDS, ...findings.map(({ name }) => name)]);
  const { files, leftOut } = listResults(journals.resultsOf(bootId));
  // Replaces the one that was sent while the test ran.
  const partial = describePartial({ bootId, phase, uptimeMs, complete: true });
  return { files: [...findings, partial, ...files.filter(({ name }) => !taken.has(name))], leftOut };
}

async function openDestination(
  { bootId, results }: BootJournal,
  job: Job,
  connection: Connection,
  context: BootContext,
) {
  const to = results && resolveDestination(results, job);
  if (!to) return undefined;
  const mountPoint = `${PATHS.resultsExport}-${bootId}`;
  const uploader = await createUploader(to, connection, context, mountPoint);
  // Where both boots have one destination, the earlier one's results must not be taken for those of this one.
  const isOwn = JSON.stringify(results) === JSON.stringify(describeDestination(job));
  return {
    sender: createResultsSender({
      uploader: isOwn ? uploadBelow(uploader, `previous-boot-${bootId}`) : uploader,
      takeSnapshot,
      warn: context.warn,
    }),
    close: () => unmountIfMounted(mountPoint),
  };
}

function uploadBelow(uploader: ResultsUploader, folder: string): ResultsUploader {
  return {
    destination: `${uploader.destination}/${folder}`,
    put: (upload, options) => uploader.put({ ...upload, name: `${folder}/${upload.name}` }, options),
  };
}

function unmountIfMounted(path: string): void {
  try {
    umount(path, { lazy: true });
  } catch (error) {
    if (!isKernelError(error, "EINVAL", "ENOENT")) throw error;
  }
}
