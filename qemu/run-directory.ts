/**
 * The run directory holds all state of one run; an atomic mkdir claims it.
 * No other state exists, so any number of runs can run in parallel (see mkosi PR 4360).
 */
import { randomBytes } from "node:crypto";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";

export interface RunDirectory {
  /** `<UTC time>-<random>`; also the virtual machine's name. */
  id: string;
  path: string;
  /** Folder for the downloaded results. */
  resultsPath: string;
}

/** Claims a new directory below `parent` (usually `<project>/out/runs`), which is created if missing. */
export async function claimRunDirectory(parent: string): Promise<RunDirectory> {
  await mkdir(parent, { recursive: true });
  for (;;) {
    const time = new Date().toISOString().slice(0, 19).replaceAll(/[-:]/g, "");
    const id = `${time}Z-${randomBytes(3).toString("hex")}`;
    const path = join(parent, id);
    try {
      await mkdir(path);
    } catch (error) {
      // Another run of the same second has the same random number.
      if ((error as NodeJS.ErrnoException).code === "EEXIST") continue;
      throw error;
    }
    const resultsPath = join(path, "results");
    await mkdir(resultsPath);
    return { id, path, resultsPath };
  }
}
