/**
 * Journals of boots on the cache device, and beside each the results of its boot: what is still here at the next start
 * belongs to a boot that did not end, or could not upload.
 */
import { closeSync, constants, lstatSync, openSync, readdirSync, readFileSync } from "node:fs";
import { open, rm } from "node:fs/promises";
import { basename, join } from "node:path";
import { syncfs } from "../kernel/syscalls.ts";
import { type BootJournal, formatJournal, isBootId, parseJournal } from "../wire/boot-journal.ts";
import type { Verdict } from "../wire/verdict.ts";
import { parseVerdict } from "../wire/verdict.ts";
import { JOURNAL_MAX_BYTES } from "./limits.ts";
import { dropRecord, placeRecord, putRecord, readRecordIfExists, stageRecord } from "./records.ts";
import type { StoreLayout } from "./store-layout.ts";

export interface Journals {
  /** Oldest first. Whatever cannot be read is dropped with the results beside it, and told; a later agent's stay. */
  list(): Promise<BootJournal[]>;
  /** On the disk when it resolves. One after the other, in the order of the calls. */
  write(journal: BootJournal): Promise<void>;
  /** The same at once, for the last words of an agent that is broken. */
  writeNow(journal: BootJournal): void;
  /** With all that lies beside it. */
  drop(bootId: string): Promise<void>;
  /** Below it lies all that is kept of a boot: its own results, and what others found out about it. */
  folderOf(bootId: string): string;
  resultsOf(bootId: string): string;
  findingsOf(bootId: string): string;
  /** Bytes on the disk of all that lies beside a journal. */
  measure(bootId: string): number;
  /** All that was written so far is on the disk when it resolves. */
  flush(): Promise<void>;
}

/** As initrd/files/supervise-agent names it. */
const KEEPER_VERDICT = "verdict.json";

export function openJournals(place: StoreLayout): Journals {
  const { journals, pending, onDamage } = place;
  const nameOf = (bootId: string) => `${bootId}.json`;
  const below = (name: string) => (bootId: string) => join(pending, bootId, name);
  let writing: Promise<void> = Promise.resolve();

  const readJournal = (bootId: string): BootJournal | "newer" => {
    const path = join(journals, nameOf(bootId));
    const stats = lstatSync(path);
    if (!stats.isFile() || stats.size > JOURNAL_MAX_BYTES) throw new Error("it is none of ours");
    const bytes = readRecordIfExists({ ...place, onDamage: () => {} }, journals, nameOf(bootId));
    if (!bytes) throw new Error("the disk has changed it, or it was cut off");
    const journal = parseJournal(bytes.toString());
    if (journal === "newer") return journal;
    if (journal.bootId !== bootId) throw new Error("it is another boot's");
    const verdict = journal.verdict === null ? readKeeperVerdict(bootId) : undefined;
    return verdict ? { ...journal, state: "ended", verdict } : journal;
  };

  /** Of an agent that died: its keeper gave a verdict and ended the machine. */
  const readKeeperVerdict = (bootId: string): Verdict | undefined => {
    const path = join(pending, bootId, KEEPER_VERDICT);
    const stats = lstatSync(path, { throwIfNoEntry: false });
    if (!stats?.isFile() || stats.size > JOURNAL_MAX_BYTES) return undefined;
    try {
      const verdict = parseVerdict(JSON.parse(readFileSync(path, "utf8")));
      return verdict?.bootId === bootId ? verdict : undefined;
    } catch {
      return undefined; // cut off with the machine
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
          if (!isBootId(bootId) || name !== nameOf(bootId)) throw new Error("it is none of ours");
          const journal = readJournal(bootId);
          known.add(bootId);
          if (journal !== "newer") found.push(journal);
        } catch (error) {
          await dropEntry(join(journals, name), (error as Error).message);
        }
      }
      for (const name of readdirSync(pending)) {
        if (known.has(name) && isFolder(join(pending, name))) continue;
        await dropEntry(join(pending, name), "nothing says whose it is");
      }
      return found.sort((a, b) => a.startedAtMs - b.startedAtMs);
    },
    write(journal) {
      const write = async () => {
        const staged = stageRecord(place, journals, nameOf(journal.bootId), formatJournal(journal));
        await syncPath(staged.temporary);
        placeRecord(staged);
        await syncPath(journals);
      };
      // An earlier one that failed has been told to its own caller.
      writing = writing.catch(() => {}).then(write);
      return writing;
    },
    writeNow: (journal) => putRecord(place, journals, nameOf(journal.bootId), formatJournal(journal)),
    async drop(bootId) {
      await writing.catch(() => {});
      // The journal first: what a cut leaves of the rest belongs to nobody, and goes at the next start.
      dropRecord(join(journals, nameOf(bootId)));
      await rm(join(pending, bootId), { recursive: true, force: true });
    },
    folderOf: (bootId) => join(pending, bootId),
    resultsOf: below("results"),
    findingsOf: below("findings"),
    measure: (bootId) => measureTree(join(pending, bootId)),
    async flush() {
      await writing.catch(() => {});
      const fd = openSync(place.path, constants.O_RDONLY | constants.O_DIRECTORY);
      try {
        await syncfs(fd);
      } finally {
        closeSync(fd);
      }
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
