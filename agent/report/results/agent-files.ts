/**
 * The agent's files among the results. The test may write to /results under the same names or remove files there: its file is renamed
 * with a warning, and the agent's is uploaded all the same.
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

export interface AgentFilesOptions {
  warn(message: string): void;
  redact(text: string, name: string): string;
  /** Names of files that are made later. */
  reserved?: readonly string[];
}

interface AgentFile {
  /** Device and inode of the file that the agent made. */
  id: string;
  log?: LogFile;
  /** What did not fit into the folder. */
  content?: Buffer;
}

export type AgentFiles = ReturnType<typeof createAgentFiles>;

export function createAgentFiles(folder: string, { warn, redact, reserved = [] }: AgentFilesOptions) {
  const files = new Map<string, AgentFile>(reserved.map((name) => [name, { id: "none" }]));

  const checkName = (name: string): "agent" | "absent" | "test" => {
    const stats = lstatSync(join(folder, name), { bigint: true, throwIfNoEntry: false });
    if (!stats) return "absent";
    return formatId(stats) === readId(files.get(name)) ? "agent" : "test";
  };
  /** Renames a file of the test that has an agent file's name. */
  const clear = (name: string): "agent" | "absent" => {
    const state = checkName(name);
    if (state !== "test") return state;
    const renamed = findFreeName(folder, `${name}.of-the-test`);
    renameSync(join(folder, name), join(folder, renamed));
    warn(`results: renamed the test's "${name}" to "${renamed}": the agent uses that name`);
    return "absent";
  };
  const makeFolder = (name: string) => {
    const parent = dirname(name);
    if (parent === ".") return;
    const stats = lstatSync(join(folder, parent), { throwIfNoEntry: false });
    if (stats && !stats.isDirectory()) clear(parent);
    mkdirSync(join(folder, parent), { recursive: true });
  };

  return {
    folder,
    /** Opens a log that is written to from now on. Throws when it cannot be opened. */
    openLog(name: string, onError: (error: Error) => void): LogFile {
      makeFolder(name);
      clear(name);
      const log = new LogFile(join(folder, name), onError);
      files.set(name, { id: formatId(lstatSync(log.path, { bigint: true })), log });
      return log;
    },
    /** Replaces what was written before; text is redacted. Without room in the folder the content is kept in memory, with a warning. */
    write(name: string, original: Buffer | string) {
      const content = typeof original === "string" ? redact(original, name) : original;
      const path = join(folder, name);
      const partial = join(folder, dirname(name), `.${basename(name)}.partial`);
      try {
        makeFolder(name);
        clear(name);
        rmSync(partial, { recursive: true, force: true });
        // Never follows a link of the test or writes to its file.
        writeFileSync(partial, content, { flag: "wx", mode: 0o644 });
        renameSync(partial, path);
        files.set(name, { id: formatId(lstatSync(path, { bigint: true })) });
      } catch (error) {
        rmSync(partial, { recursive: true, force: true });
        files.set(name, { id: "none", content: Buffer.from(content) });
        warn(`results: cannot write "${name}": ${(error as Error).message}`);
      }
    },
    /** Continues the logs in the folder that is there after `change`, with the last `maxBytes` of each. */
    moveLogs(change: () => void, options: { maxBytes: number }) {
      change();
      for (const [name, { log }] of files) {
        if (log?.fd === undefined) continue;
        try {
          makeFolder(name);
          log.moveTo(join(folder, name), options);
        } catch (error) {
          warn(`results: cannot move "${name}": ${(error as Error).message}`);
        }
      }
    },
    /** Everything to upload, also logs that the test removed. */
    list(): ResultList {
      const absent = [...files].filter(([name]) => clear(name) === "absent");
      for (const [name, { log }] of absent)
        if (log?.fd !== undefined) warn(`results: the test removed "${name}"; it is uploaded all the same`);
      return addAbsent(listResults(folder), absent);
    },
    /** The same while the test runs: its files with agent files' names are not renamed, but omitted. */
    listDuringTest(): ResultList {
      const list = listResults(folder);
      // After the listing: the test may create such a file at any moment, and what is below an agent file's name is always the test's.
      const names = [...files.keys()];
      const isTaken = ({ name }: ResultFile) =>
        names.some((each) => name.startsWith(`${each}/`)) || (files.has(name) && checkName(name) === "test");
      const absent = [...files].filter(([name]) => checkName(name) !== "agent");
      return addAbsent({ ...list, files: list.files.filter((file) => !isTaken(file)) }, absent);
    },
  };
}

/** Adds the agent's files that are not in the folder. */
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

/** An open log's own, as it may have moved to another file system. */
function readId(file: AgentFile | undefined): string | undefined {
  return file?.log?.fd === undefined ? file?.id : formatId(fstatSync(file.log.fd, { bigint: true }));
}

const formatId = ({ dev, ino }: BigIntStats) => `${dev}:${ino}`;

function findFreeName(folder: string, wanted: string): string {
  for (let number = 1; ; number++) {
    const name = number === 1 ? wanted : `${wanted}-${number}`;
    if (!lstatSync(join(folder, name), { throwIfNoEntry: false })) return name;
  }
}
