/**
 * A file of the results at one moment, with its hashes: the manifest describes exactly the bytes that are uploaded, even when the test
 * writes to the file meanwhile. Small files are read into memory; large ones are checked again after the upload.
 */
import { createHash, type Hash } from "node:crypto";
import { type BigIntStats, closeSync, constants, createReadStream, fstatSync, openSync } from "node:fs";
import { AgentError } from "../../errors.ts";
import { isKernelError } from "../../kernel/errno.ts";
import { O_DIRECTORY, O_NOFOLLOW, O_PATH, openInRoot } from "../../kernel/files.ts";
import { UPLOAD_CHUNK_BYTES } from "../../limits.ts";
import { FILE_STAMP_TRUST_MS, RESULT_HELD_BYTES } from "../limits.ts";
import { formatStamp, type ResultFile } from "./list-results.ts";

export interface ResultSnapshot {
  name: string;
  sizeBytes: number;
  /** Lower-case hex, as `md5`. */
  sha256: string;
  md5: string;
  body: Buffer | { path: string; sizeBytes: number };
  /** Whether the body is still what was hashed; asked after the upload. */
  isUnchanged(): Promise<boolean>;
  close(): void;
}

/** undefined when the file has been removed or replaced by something else. */
export async function takeSnapshot(
  file: ResultFile,
  { heldBytes = RESULT_HELD_BYTES } = {},
): Promise<ResultSnapshot | undefined> {
  const { name } = file;
  if ("content" in file) return snapshotBuffer(name, file.content);
  try {
    return await openSnapshot(file, heldBytes);
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    throw new AgentError("UPLOAD_FAILED", `Cannot read "${name}" of the results: ${code ?? message}`, {
      hint: "Check the disk or memory that holds the results: the kernel's messages are in kernel.log",
      cause,
    });
  }
}

type StoredFile = Exclude<ResultFile, { content: Buffer }>;

async function openSnapshot(file: StoredFile, heldBytes: number): Promise<ResultSnapshot | undefined> {
  const fd = openFile(file);
  if (fd === undefined) return undefined;
  try {
    const stats = fstatSync(fd, { bigint: true });
    const snapshot = stats.isFile() ? await snapshotFile(file.name, fd, stats, heldBytes) : undefined;
    if (!snapshot || Buffer.isBuffer(snapshot.body)) closeSync(fd);
    return snapshot;
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

/** Follows no link: the test may have replaced any part of the path since it was listed. */
function openFile(file: StoredFile): number | undefined {
  const flags = constants.O_RDONLY | constants.O_NONBLOCK;
  if ("fd" in file) return openSync(`/proc/self/fd/${file.fd}`, flags);
  const folderFd = openSync(file.folder, O_PATH | O_DIRECTORY);
  try {
    return openInRoot(folderFd, file.path, flags | O_NOFOLLOW, 0, { noSymlinks: true });
  } catch (error) {
    if (isKernelError(error) && ["ENOENT", "ELOOP", "ENOTDIR", "ENXIO"].includes(error.code))
      return undefined;
    throw error;
  } finally {
    closeSync(folderFd);
  }
}

async function snapshotFile(
  name: string,
  fd: number,
  stats: BigIntStats,
  heldBytes: number,
): Promise<ResultSnapshot> {
  const startedAtMs = Date.now();
  if (stats.size <= heldBytes) {
    const chunks: Buffer[] = [];
    for await (const chunk of readStart(fd, Number(stats.size))) chunks.push(chunk);
    return snapshotBuffer(name, Buffer.concat(chunks));
  }
  const first = await hashStart(fd, Number(stats.size));
  // It may have been truncated since.
  const { sizeBytes } = first;
  return {
    name,
    ...first,
    // By descriptor: another file may get the name.
    body: { path: `/proc/self/fd/${fd}`, sizeBytes },
    async isUnchanged() {
      const isSettled = startedAtMs - Number(stats.mtimeMs) > FILE_STAMP_TRUST_MS;
      if (isSettled && formatStamp(fstatSync(fd, { bigint: true })) === formatStamp(stats)) return true;
      // A log that has only grown starts the same.
      const now = await hashStart(fd, sizeBytes);
      return now.sha256 === first.sha256 && now.sizeBytes === sizeBytes;
    },
    close: () => closeSync(fd),
  };
}

function snapshotBuffer(name: string, body: Buffer): ResultSnapshot {
  const hash = (algorithm: string) => createHash(algorithm).update(body).digest("hex");
  return {
    name,
    sizeBytes: body.length,
    sha256: hash("sha256"),
    md5: hash("md5"),
    body,
    isUnchanged: async () => true,
    close() {},
  };
}

async function hashStart(fd: number, sizeBytes: number) {
  const hashes: Hash[] = [createHash("sha256"), createHash("md5")];
  let readBytes = 0;
  for await (const chunk of readStart(fd, sizeBytes)) {
    for (const hash of hashes) hash.update(chunk);
    readBytes += chunk.length;
  }
  const [sha256, md5] = hashes.map((hash) => hash.digest("hex"));
  return { sha256: sha256!, md5: md5!, sizeBytes: readBytes };
}

function readStart(fd: number, sizeBytes: number): AsyncIterable<Buffer> {
  if (sizeBytes === 0) return (async function* () {})();
  const range = { start: 0, end: sizeBytes - 1 };
  return createReadStream("", { fd, autoClose: false, highWaterMark: UPLOAD_CHUNK_BYTES, ...range });
}
