/**
 * This boot's journal on the cache device, with its results beside it while it is under way; and what earlier boots left there.
 */
import { cpSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Job } from "../job/job.ts";
import { isKernelError, MS_BIND, mount, umount } from "../kernel/syscalls.ts";
import type { ResultsUploader } from "../net/uploads/results-uploader.ts";
import { PATHS } from "../paths.ts";
import { RESULTS_RESERVE_BYTES } from "../phases/limits.ts";
import type { PhaseContext } from "../phases/phase-runner.ts";
import { refuseBootLoop, settlePreviousBoots } from "../phases/previous-boots.ts";
import { createResultsSender } from "../phases/results-sender.ts";
import type { SyncHook } from "../phases/sync-results.ts";
import type { EventStream } from "../report/log/event-stream.ts";
import { startProgress } from "../report/log/progress.ts";
import { takeSnapshot } from "../report/results/file-snapshot.ts";
import { listResults, type ResultList } from "../report/results/list-results.ts";
import { type Journals, openJournals } from "../store/journals.ts";
import type { OpenStore } from "../store/open-store.ts";
import { type CrashRecords, readCrashRecords } from "../sys/machine/pstore.ts";
import { readUptimeMs } from "../sys/machine/uptime.ts";
import { formatMegabytes, truncate } from "../text.ts";
import {
  BOOT_TEXT_MAX_LENGTH,
  type BootJournal,
  describeDestination,
  resolveDestination,
} from "../wire/boot-journal.ts";
import type { EventBody } from "../wire/event.ts";
import type { Verdict } from "../wire/verdict.ts";
import { connectS3 } from "./connect-s3.ts";
import { LOG_BACK_MAX_BYTES } from "./limits.ts";
import { createUploader, type ResultsTools } from "./results-adapters.ts";
import { describePartial, PARTIAL_NAME } from "./results-sync.ts";

const STEP_NAME_LENGTH = 60;

export interface JournalTools extends ResultsTools {
  /** The kernel command line as it is. */
  source: { line: string };
  build: { version: string };
  events: EventStream;
  store: OpenStore;
  syncHooks: SyncHook[];
}

export interface JournalWriter {
  /** Tells of earlier boots that did not end and uploads what they left. Throws JOB_BOOT_LOOP when there were too many. */
  settlePrevious(context: PhaseContext): Promise<void>;
  /** Before the store is released: the results come back, and what is kept of them is what was not uploaded. */
  finish(verdict: Verdict): Promise<void>;
}

/** Begins the journal where the store is on a device of this machine; elsewhere there is nothing that a boot leaves to the next. */
export async function openJournalWriter(job: Job, tools: JournalTools): Promise<JournalWriter> {
  const { log, store } = tools;
  const crash = readCrashRecords((message) => log.warn(message));
  const without: JournalWriter = {
    settlePrevious: async () => saveHere(crash, tools),
    finish: async () => clearIfUploaded(crash, job, tools),
  };
  if (store.outcome.kind !== "device") return without;
  const journals = openJournals(store.place);
  const journal = followBoot(job, journals, tools);
  try {
    await journal.write();
    mkdirSync(journals.folderOf(tools.bootId), { recursive: true });
    symlinkSync(journals.folderOf(tools.bootId), PATHS.kept);
  } catch (error) {
    await journal.close();
    log.warn(`journal: this boot goes on without: ${(error as Error).message}`);
    return without;
  }
  const hasMoved = job.results !== undefined && moveResults(journals, tools);
  tools.syncHooks.push({ name: "the journal", run: journal.sync });
  return {
    async settlePrevious(context) {
      const { deaths } = await settlePreviousBoots(context, {
        journals,
        own: journal.read(),
        startProgress,
        readFreeBytes: store.readFreeBytes,
        emit: tools.events.emit,
        lastWords: {
          panic: crash.panic,
          async save(bootId) {
            saveHere(crash, tools);
            if (crash.records.length === 0 || (bootId === undefined && !hasMoved)) return;
            try {
              if (bootId !== undefined) saveFor(bootId, crash, { journals, redaction: tools.redaction });
              await journals.flush();
              crash.clear();
            } catch (error) {
              log.warn(`pstore: the records stay there: ${(error as Error).message}`);
            }
          },
        },
        listResults: (left) => listLeft(left, journals),
        openPlace: (left) => openPlace(left, job, tools),
      });
      await journal.setDeaths(deaths);
      refuseBootLoop({ deaths });
    },
    async finish(verdict) {
      await journal.close();
      if (hasMoved)
        tools.files.moveLogs(() => umount(PATHS.results, { lazy: true }), { maxBytes: LOG_BACK_MAX_BYTES });
      clearIfUploaded(crash, job, tools);
      try {
        if (isUploaded(job, tools)) await journals.drop(tools.bootId);
        else
          await journals.write({
            ...journal.read(),
            state: "ended",
            verdict: tools.redaction.cleanValue(verdict),
          });
      } catch (error) {
        log.warn(`journal: the next boot will take this one for dead: ${(error as Error).message}`);
      }
    },
  };
}

/** The journal's state follows the events; each change of it is written. */
function followBoot(job: Job, journals: Journals, tools: JournalTools) {
  const { bootId, log, runner, redaction, events } = tools;
  const line = redaction.clean(tools.source.line.trim());
  const startedAtMs = Date.now();
  const running = new Map<string, string>();
  let phase = "machine";
  let deathsBefore = 0;
  let isOpen = true;

  const read = (): BootJournal => ({
    version: 1,
    bootId,
    agent: tools.build.version,
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
  const tell = (error: unknown) => log.warn(`journal: it cannot be written: ${(error as Error).message}`);
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
      // The agent ends without having released the disks: nobody writes after it.
      isOpen = false;
      journals.writeNow({ ...read(), state: "ended", verdict: redaction.cleanValue(body.verdict) });
      return;
    }
    if (body.event === "phase_start") phase = body.phase;
    else if (body.event === "step_start")
      running.set(body.id, `${body.kind} step "${formatStepName(body.name)}"`);
    else if (body.event === "step_end") running.delete(body.id);
    else return;
    sync().catch(tell);
  });
  return {
    read,
    write,
    sync,
    async setDeaths(deaths: number) {
      deathsBefore = deaths;
      await write().catch(tell);
    },
    /** Whoever unmounts the disk must not find it in use. */
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

/** Onto the cache device, where they outlive the machine; not where that would leave too little room for all else. */
function moveResults(journals: Journals, { log, files, bootId, store }: JournalTools): boolean {
  const freeBytes = store.readFreeBytes();
  if (freeBytes < RESULTS_RESERVE_BYTES) {
    const free = formatMegabytes(freeBytes);
    log.warn(`results: they stay in RAM and do not outlive a power cut: the cache has only ${free} MB free`);
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
    log.warn(`results: they stay in RAM and do not outlive a power cut: ${(error as Error).message}`);
    return false;
  }
}

const isUploaded = ({ results }: Job, { runner }: JournalTools) =>
  !results || runner.records.some(({ name, outcome }) => name === "upload" && outcome === "done");

function saveHere({ records, panic }: CrashRecords, { log, files, redaction }: JournalTools): void {
  if (panic !== undefined) log.warn(`pstore: an earlier boot's last words: ${panic}`);
  for (const { name, text } of records) files.write(`previous-boot/${name}`, redaction.clean(text));
  if (records.length > 0) log.info(`pstore: ${records.length} records of an earlier boot`);
}

/** Nobody else may have them: they leave pstore only with the results. */
function clearIfUploaded(crash: CrashRecords, job: Job, tools: JournalTools): void {
  if (job.results && isUploaded(job, tools)) crash.clear();
}

function saveFor(
  bootId: string,
  { records }: CrashRecords,
  { journals, redaction }: Pick<JournalTools, "redaction"> & { journals: Journals },
): void {
  const folder = journals.findingsOf(bootId);
  if (records.length > 0) mkdirSync(folder, { recursive: true });
  for (const { name, text } of records) writeFileSync(join(folder, name), redaction.clean(text));
}

/** Made anew for that boot. */
const RECORDS = ["manifest.json", "verdict.json", PARTIAL_NAME];

function listLeft({ bootId, phase, uptimeMs }: BootJournal, journals: Journals): ResultList {
  const findings = listResults(journals.findingsOf(bootId)).files.map((file) => ({
    ...file,
    name: `pstore/${file.name}`,
  }));
  const taken = new Set([...RECORDS, ...findings.map(({ name }) => name)]);
  const { files, leftOut } = listResults(journals.resultsOf(bootId));
  const left = files.filter(({ name }) => !taken.has(name));
  // What went out while the test ran says that it is not all; now it is.
  const partial = describePartial({ bootId, phase, uptimeMs, complete: true });
  return { files: [...findings, partial, ...left], leftOut };
}

async function openPlace({ bootId, results }: BootJournal, job: Job, tools: JournalTools) {
  const to = results && resolveDestination(results, job);
  if (!to) return undefined;
  const directory = `${PATHS.resultsExport}-${bootId}`;
  const s3 = job.s3 && (await connectS3(job.s3, tools));
  const uploader = await createUploader(to, s3, { ...tools, directory });
  // The same job once more: what came of this boot must not be mistaken for what came of that one.
  const isOwn = JSON.stringify(results) === JSON.stringify(describeDestination(job));
  return {
    sender: createResultsSender({
      uploader: isOwn ? placeBelow(uploader, `previous-boot-${bootId}`) : uploader,
      takeSnapshot,
      warn: (message) => tools.log.warn(message),
    }),
    close: () => unmountIfMounted(directory),
  };
}

function placeBelow(uploader: ResultsUploader, folder: string): ResultsUploader {
  return {
    place: `${uploader.place}/${folder}`,
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
