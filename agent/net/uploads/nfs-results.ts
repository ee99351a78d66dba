/**
 * Writes results to a directory on which an NFS export is mounted. A file appears under its name when the server has all of it
 * on its disk, and not before. Its hash is checked while it is read, and its size on the server afterwards.
 */
import { createHash } from "node:crypto";
import { mkdirSync } from "node:fs";
import { open, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { AgentError } from "../../errors.ts";
import type { NfsExport } from "../../job/job.ts";
import { FILE_READ_BYTES } from "../../limits.ts";
import { readUploadedFile } from "../http/uploaded-file.ts";
import type { ResultsUploader, ResultUpload } from "./results-uploader.ts";

export interface NfsResultsOptions {
  /** Where the export is mounted; it stays mounted. */
  directory: string;
  /** Mounts the export read-write; called once, before the first file. */
  mount(destination: NfsExport, target: string): Promise<void>;
}

/** `put` throws NFS_…, UPLOAD_FAILED, UPLOAD_MISMATCH and UPLOAD_FILE_CHANGED. */
export function createNfsResults(
  location: NfsExport,
  { directory, mount }: NfsResultsOptions,
): ResultsUploader {
  const destination = `${location.server}:${location.path}`;
  let mounted: Promise<void> | undefined;
  return {
    destination,
    async put(upload, { signal }) {
      const { name } = upload;
      mounted ??= mount(withTimeout(location), directory).catch((error: unknown) => {
        // The server may be back for the next file.
        mounted = undefined;
        throw error;
      });
      await mounted;
      const path = join(directory, name);
      try {
        mkdirSync(dirname(path), { recursive: true });
        await writeAtomically(path, upload, signal);
      } catch (cause) {
        signal.throwIfAborted();
        if (cause instanceof AgentError) throw cause;
        const { code, message } = cause as NodeJS.ErrnoException;
        throw new AgentError(
          "UPLOAD_FAILED",
          `Cannot write "${name}" to "${destination}": ${code ?? message}`,
          {
            cause,
          },
        );
      }
    },
  };
}

/** Without an option of the job, a dead server causes an error instead of an endless wait. */
function withTimeout(location: NfsExport): NfsExport {
  const isChosen = location.options.some((option) => /^(soft|softerr|hard)$/.test(option));
  return isChosen ? location : { ...location, options: ["softerr", ...location.options] };
}

async function writeAtomically(
  path: string,
  { name, sizeBytes, sha256, body }: ResultUpload,
  signal: AbortSignal,
): Promise<void> {
  const partial = join(dirname(path), `.${process.pid}.partial-${path.length}-${performance.now()}`);
  const target = await open(partial, "wx", 0o644);
  try {
    try {
      if (Buffer.isBuffer(body)) await target.writeFile(body);
      else {
        const hash = createHash("sha256");
        for await (const chunk of readUploadedFile(body, FILE_READ_BYTES)) {
          signal.throwIfAborted();
          hash.update(chunk);
          await target.writeFile(chunk);
        }
        if (hash.digest("hex") !== sha256)
          throw new AgentError(
            "UPLOAD_FILE_CHANGED",
            `Cannot upload "${name}": it changed during the upload`,
          );
      }
      await target.sync();
      const { size } = await target.stat();
      if (size !== sizeBytes)
        throw new AgentError(
          "UPLOAD_MISMATCH",
          `Cannot upload "${name}": the server stored ${size} of ${sizeBytes} bytes`,
        );
    } finally {
      await target.close();
    }
    await rename(partial, path);
  } catch (error) {
    await rm(partial, { force: true }).catch(() => {}); // the server may be down
    throw error;
  }
  const directory = await open(dirname(path), "r");
  await directory.sync().finally(() => directory.close());
}
