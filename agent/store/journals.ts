/**
 * Journals of boots on the cache device, each with a folder for the boot's results. What is left at the next start
 * belongs to a boot that did not end, or that could not upload its results.
 */
import { lstatSync, readdirSync, readFileSync } from "node:fs";
import { open, rm } from "node:fs/promises";
import { basename, join } from "node:path";
import { type BootJournal, formatJournal, isBootId, parseJournal } from "../wire/boot-journal.ts";
import type { Verdict } from "../wire/verdict.ts";
import { parseVerdict } from "../wire/verdict.ts";
import { JOURNAL_MAX_BYTES } from "./limits.ts";
import { deleteRecord, putRecord, readRecordIfExists, renameRecord, stageRecord } from "./records.ts";
import { flushStore, type StoreLayout } from "./store-layout.ts";

export interface Journals {
  /** Oldest first. Deletes and reports damaged ones with their results; keeps those of a newer agent. */
  list(): Promise<BootJournal[]>;
  /** Resolves when it is on the disk. Calls are processed in order. */
  write(journal: BootJournal): Promise<void>;
  /** Synchronous, for an agent that has failed. */
  writeNow(journal: BootJournal): void;
  /** Deletes the journal with its folder. */
  drop(bootId: string): Promise<void>;
  /** Holds the boot's own results, and what later boots found out about it. */
  folderOf(bootId: string): string;
  resultsOf(bootId: string): string;
  findingsOf(bootId: string): string;
  /** Disk usage of the folder, in bytes. */
  measure(bootId: string): number;
  /** Resolves when all earlier writes are on the disk. */
  flush(): Promise<void>;
}

/** Written by initrd/files/supervise-agent. */
const SUPERVISOR_VERDICT = "verdict.json";

export function openJournals(layout: StoreLayout): Journals {
  const { journals, pending, onDamage } = layout;
  const nameOf = (bootId: string) => `${bootId}.json`;
  const below = (name: string) => (bootId: string) => join(pending, bootId, name);
  let writing: Promise<void> = Promise.resolve();

  const readJournal = (bootId: string): BootJournal | "newer" => {
    const path = join(journals, nameOf(bootId));
    const stats = lstatSync(path);
    if (!stats.isFile() || stats.size > JOURNAL_MAX_BYTES) throw new Error("it is not a journal");
    const bytes = readRecordIfExists({ ...layout, onDamage: () => {} }, journals, nameOf(bootId));
    if (!bytes) throw new Error("it is damaged or truncated");
    const journal = parseJournal(bytes.toString());
    if (journal === "newer") return journal;
    if (journal.bootId !== bootId) throw new Error("it belongs to another boot");
    const verdict = journal.verdict === null ? readSupervisorVerdict(bootId) : undefined;
    return verdict ? { ...journal, state: "ended", verdict } : journal;
  };

  /** The supervisor gives a verdict for an agent that has died. */
  const readSupervisorVerdict = (bootId: string): Verdict | undefined => {
    const path = join(pending, bootId, SUPERVISOR_VERDICT);
    const stats = lstatSync(path, { throwIfNoEntry: false });
    if (!stats?.isFile() || stats.size > JOURNAL_MAX_BYTES) return undefined;
    try {
      const verdict = parseVerdict(JSON.parse(readFileSync(path, "utf8")));
      return verdict?.bootId === bootId ? verdict : undefined;
    } catch {
      return undefined; // truncated by a power cut
    }
  };

  const dropEntry = async (path: string, why: string) => {
    await rm(path, { recursive: true, force: true });
    onDamage(
      `${basename(join(path, ".."))}/${JSON.stringify(basename(path)).slice(1, -1)} of an earlier boot (${why})`,
    );
  };

  return {
    async list() {
      const found: BootJournal[] = [];
      const known = new Set<string>();
      for (const name of readdirSync(journals)) {
        const bootId = name.replace(/\.json$/, "");
        try {
          if (!isBootId(bootId) || name !== nameOf(bootId)) throw new Error("it is not a journal");
          const journal = readJournal(bootId);
          known.add(bootId);
          if (journal !== "newer") found.push(journal);
        } catch (error) {
          await dropEntry(join(journals, name), (error as Error).message);
        }
      }
      for (const name of readdirSync(pending)) {
        if (known.has(name) && isFolder(join(pending, name))) continue;
        await dropEntry(join(pending, name), "it has no journal");
      }
      return found.sort((a, b) => a.startedAtMs - b.startedAtMs);
    },
    write(journal) {
      const write = async () => {
        const staged = stageRecord(layout, journals, nameOf(journal.bootId), formatJournal(journal));
        await syncPath(staged.temporary);
        renameRecord(staged);
        await syncPath(journals);
      };
      // The caller of an earlier write handles its failure.
      writing = writing.catch(() => {}).then(write);
      return writing;
    },
    writeNow: (journal) => putRecord(layout, journals, nameOf(journal.bootId), formatJournal(journal)),
    async drop(bootId) {
      await writing.catch(() => {});
      // The journal first: a folder without one is deleted at the next start.
      deleteRecord(join(journals, nameOf(bootId)));
      await rm(join(pending, bootId), { recursive: true, force: true });
    },
    folderOf: (bootId) => join(pending, bootId),
    resultsOf: below("results"),
    findingsOf: below("findings"),
    measure: (bootId) => measureTree(join(pending, bootId)),
    async flush() {
      await writing.catch(() => {});
      await flushStore(layout);
    },
  };
}

async function syncPath(path: string): Promise<void> {
  const handle = await open(path, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function isFolder(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}

function measureTree(path: string): number {
  const stats = lstatSync(path, { throwIfNoEntry: false });
  if (!stats) return 0;
  const own = stats.blocks * 512;
  if (!stats.isDirectory()) return own;
  return readdirSync(path).reduce((sum, name) => sum + measureTree(join(path, name)), own);
}
