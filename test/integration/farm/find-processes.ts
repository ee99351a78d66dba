/** Finds processes by what stands on their command lines, for tests that nothing was left behind. */
import { readdir, readFile } from "node:fs/promises";

/** Command lines, other than this process's, in which the text stands. */
export async function findProcesses(text: string): Promise<string[]> {
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid);
  const commands = await Promise.all(
    pids.map((pid) =>
      readFile(`/proc/${pid}/cmdline`, "utf8").catch((error: NodeJS.ErrnoException) => {
        // It ended while we looked.
        if (error.code === "ENOENT" || error.code === "ESRCH") return "";
        throw error;
      }),
    ),
  );
  return commands
    .filter((command) => command.includes(text))
    .map((command) => command.replaceAll("\0", " ").trim());
}
