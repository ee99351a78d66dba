/**
 * Our files among the results. A test may write to its /results as it likes, under our names too, or remove what lies there:
 * its own file is kept under another name and told, and ours is found all the same.
 */
import {
  type BigIntStats,
  fstatSync,
  lstatSync,
  mkdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";
import { LogFile } from "../log/log-file.ts";
import { formatStamp, listResults, type ResultFile, type ResultList } from "./list-results.ts";

export interface AgentFiles {
  readonly folder: string;
  /** A log that grows from now on. Throws what opening it does. */
  openLog(name: string, onError: (error: Error) => void): LogFile;
  /** Takes the place of what we wrote there before; kept in memory, and told, where the folder has no room for it. Text loses its secrets. */
  write(name: string, content: Buffer | string): void;
  /** The folder is another one after `change`: the logs go on there, with the last `maxBytes` of what they hold. */
  moveLogs(change: () => void, options: { maxBytes: number }): void;
  /** All there is to upload; of logs that the test removed, what we hold open. */
  list(): ResultList;
  /** The same while the test runs: its files under our names stay where they are, and are left out. */
  listQuietly(): ResultList;
}

export interface AgentFilesOptions {
  warn(message: string): void;
  redact(text: string, name: string): string;
  /** Names that are ours though nothing lies there before the upload. */
  reserved?: readonly string[];
}

interface AgentFile {
  /** Of the file as we made it. */
  id: string;
  log?: LogFile;
  /** What the folder had no room for. */
  content?: Buffer;
}

export function createAgentFiles(
  folder: string,
  { warn, redact, reserved = [] }: AgentFilesOptions,
): AgentFiles {
  const own = new Map<string, AgentFile>(reserved.map((name) => [name, { id: "none" }]));

  const look = (name: string): "ours" | "free" | "foreign" => {
    const found = lstatSync(join(folder, name), { bigint: true, throwIfNoEntry: false });
    if (!found) return "free";
    return formatId(found) === readOwnId(own.get(name)) ? "ours" : "foreign";
  };
  /** What lies there and is not ours goes out of the way. */
  const clear = (name: string): "ours" | "free" => {
    const state = look(name);
    if (state !== "foreign") return state;
    const aside = findFreeName(folder, `${name}.of-the-test`);
    renameSync(join(folder, name), join(folder, aside));
    warn(`results: the test's own "${name}" is kept as "${aside}": that name is ours`);
    return "free";
  };
  const makeFolder = (name: string) => {
    const parent = dirname(name);
    if (parent === ".") return;
    const found = lstatSync(join(folder, parent), { throwIfNoEntry: false });
    if (found && !found.isDirectory()) clear(parent);
    mkdirSync(join(folder, parent), { recursive: true });
  };

  return {
    folder,
    openLog(name, onError) {
      makeFolder(name);
      clear(name);
      const log = new LogFile(join(folder, name), onError);
      own.set(name, { id: formatId(lstatSync(log.path, { bigint: true })), log });
      return log;
    },
    write(name, given) {
      const content = typeof given === "string" ? redact(given, name) : given;
      const path = join(folder, name);
      const partial = join(folder, dirname(name), `.${basename(name)}.partial`);
      try {
        makeFolder(name);
        clear(name);
        rmSync(partial, { recursive: true, force: true });
        // Nothing that the test put there is followed or written to.
        writeFileSync(partial, content, { flag: "wx", mode: 0o644 });
        renameSync(partial, path);
        own.set(name, { id: formatId(lstatSync(path, { bigint: true })) });
      } catch (error) {
        rmSync(partial, { recursive: true, force: true });
        own.set(name, { id: "none", content: Buffer.from(content) });
        warn(`results: "${name}" does not fit into the results folder: ${(error as Error).message}`);
      }
    },
    moveLogs(change, options) {
      change();
      for (const [name, { log }] of own) {
        if (log?.fd === undefined) continue;
        try {
          makeFolder(name);
          log.moveTo(join(folder, name), options);
        } catch (error) {
          warn(`results: "${name}" stays where it was: ${(error as Error).message}`);
        }
      }
    },
    list() {
      const absent = [...own].filter(([name]) => clear(name) === "free");
      for (const [name, { log }] of absent)
        if (log?.fd !== undefined)
          warn(`results: the test removed "${name}"; what was written to it is uploaded all the same`);
      return addAbsent(listResults(folder), absent);
    },
    listQuietly() {
      const foreign = [...own.keys()].filter((name) => look(name) === "foreign");
      const isForeign = ({ name }: ResultFile) =>
        foreign.some((each) => name === each || name.startsWith(`${each}/`));
      const absent = [...own].filter(([name]) => look(name) !== "ours");
      const list = listResults(folder);
      return addAbsent({ ...list, files: list.files.filter((file) => !isForeign(file)) }, absent);
    },
  };
}

/** What of our files is not in the folder. */
function addAbsent(list: ResultList, absent: readonly (readonly [string, AgentFile])[]): ResultList {
  for (const [name, { log, content }] of absent) {
    if (content) list.files.push({ name, content, sizeBytes: content.length, stamp: "held" });
    if (log?.fd === undefined) continue;
    const stats = fstatSync(log.fd, { bigint: true });
    list.files.push({ name, fd: log.fd, sizeBytes: Number(stats.size), stamp: formatStamp(stats) });
  }
  list.files.sort((a, b) => (a.name < b.name ? -1 : 1));
  return list;
}

/** Of a log that is open, what it is now: it may have moved to another file system. */
function readOwnId(file: AgentFile | undefined): string | undefined {
  return file?.log?.fd === undefined ? file?.id : formatId(fstatSync(file.log.fd, { bigint: true }));
}

const formatId = ({ dev, ino }: BigIntStats) => `${dev}:${ino}`;

function findFreeName(folder: string, wanted: string): string {
  for (let number = 1; ; number++) {
    const name = number === 1 ? wanted : `${wanted}-${number}`;
    if (!lstatSync(join(folder, name), { throwIfNoEntry: false })) return name;
  }
}
