/**
 * Results as files of a directory that was mounted for them: each appears there under its name when all of it is on the
 * server's disk, and not before. What was read is hashed on its way, and its size asked of the server.
 */
import { createHash } from "node:crypto";
import { mkdirSync } from "node:fs";
import { type FileHandle, open, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { AgentError } from "../../errors.ts";
import type { NfsExport } from "../../job/job.ts";
import { FILE_READ_BYTES } from "../../limits.ts";

export interface NfsResultsOptions {
  /** Where the export is mounted, for good. */
  directory: string;
  /** Mounts it read-write; called once, before the first file. */
  mount(place: NfsExport, target: string): Promise<void>;
}

interface NfsUpload {
  name: string;
  sizeBytes: number;
  sha256: string;
  body: Buffer | { path: string; sizeBytes: number };
}

/** As the upload phase wants it. `put` throws NFS_…, UPLOAD_FAILED, UPLOAD_MISMATCH and UPLOAD_FILE_CHANGED. */
export function createNfsResults(place: NfsExport, { directory, mount }: NfsResultsOptions) {
  let mounted: Promise<void> | undefined;
  return {
    place: `${place.server}:${place.path}`,
    async put(upload: NfsUpload, { signal }: { signal: AbortSignal }): Promise<void> {
      const { name } = upload;
      mounted ??= mount(giveUpInTime(place), directory).catch((error: unknown) => {
        // A server that was away may be back at the next file.
        mounted = undefined;
        throw error;
      });
      await mounted;
      const path = join(directory, name);
      try {
        mkdirSync(dirname(path), { recursive: true });
        await writeWhole(path, upload, signal);
      } catch (cause) {
        signal.throwIfAborted();
        if (cause instanceof AgentError) throw cause;
        const { code, message } = cause as NodeJS.ErrnoException;
        throw new AgentError(
          "UPLOAD_FAILED",
          `Cannot write "${name}" to "${place.server}:${place.path}": ${code ?? message}`,
          {
            cause,
          },
        );
      }
    },
  };
}

/** Whoever wants results waits for an error, not for a server that is gone: each file is known to be there or not. */
function giveUpInTime(place: NfsExport): NfsExport {
  const says = place.options.some((option) => /^(soft|softerr|hard)$/.test(option));
  return says ? place : { ...place, options: ["softerr", ...place.options] };
}

async function writeWhole(
  path: string,
  { name, sizeBytes, sha256, body }: NfsUpload,
  signal: AbortSignal,
): Promise<void> {
  const partial = join(dirname(path), `.${process.pid}.partial-${path.length}-${performance.now()}`);
  const target = await open(partial, "wx", 0o644);
  try {
    try {
      if (Buffer.isBuffer(body)) await target.writeFile(body);
      else if ((await copyFile(body, target, signal)) !== sha256)
        throw new AgentError("UPLOAD_FILE_CHANGED", `Cannot upload "${name}": it changed on its way`);
      await target.sync();
      const { size } = await target.stat();
      if (size !== sizeBytes)
        throw new AgentError(
          "UPLOAD_MISMATCH",
          `Cannot upload "${name}": the server has ${size} bytes of ${sizeBytes}`,
        );
    } finally {
      await target.close();
    }
    await rename(partial, path);
  } catch (error) {
    await rm(partial, { force: true }).catch(() => {}); // the server may be gone
    throw error;
  }
  const directory = await open(dirname(path), "r");
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

async function copyFile(
  { path, sizeBytes }: { path: string; sizeBytes: number },
  target: FileHandle,
  signal: AbortSignal,
): Promise<string> {
  const source = await open(path, "r");
  const hash = createHash("sha256");
  const buffer = Buffer.allocUnsafe(Math.max(1, Math.min(FILE_READ_BYTES, sizeBytes)));
  try {
    for (let at = 0; at < sizeBytes; ) {
      signal.throwIfAborted();
      const { bytesRead } = await source.read(buffer, 0, Math.min(buffer.length, sizeBytes - at), at);
      if (bytesRead === 0) {
        throw new AgentError(
          "UPLOAD_FILE_CHANGED",
          `Cannot upload "${path}": it is only ${at} bytes long by now`,
        );
      }
      const piece = buffer.subarray(0, bytesRead);
      hash.update(piece);
      await target.writeFile(piece);
      at += bytesRead;
    }
    return hash.digest("hex");
  } finally {
    await source.close();
  }
}
