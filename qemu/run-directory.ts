/**
 * The run directory: the one place that holds all state of one run, claimed by an atomic mkdir.
 * Nothing of a run lives elsewhere, so any number of runs go side by side (mkosi PR 4360 tells why).
 */
import { randomBytes } from "node:crypto";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";

export interface RunDirectory {
  /** `<UTC time>-<random>`, also the virtual machine's name. */
  id: string;
  path: string;
  /** Where the results of the run are put for people. */
  resultsPath: string;
}

/** Claims a new directory below `parent` (usually `<project>/out/runs`), which is made when it is missing. */
export async function claimRunDirectory(parent: string): Promise<RunDirectory> {
  await mkdir(parent, { recursive: true });
  for (;;) {
    const time = new Date().toISOString().slice(0, 19).replaceAll(/[-:]/g, "");
    const id = `${time}Z-${randomBytes(3).toString("hex")}`;
    const path = join(parent, id);
    try {
      await mkdir(path);
    } catch (error) {
      // Two runs of one second that drew the same number: draw again.
      if ((error as NodeJS.ErrnoException).code === "EEXIST") continue;
      throw error;
    }
    const resultsPath = join(path, "results");
    await mkdir(resultsPath);
    return { id, path, resultsPath };
  }
}
