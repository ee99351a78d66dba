/**
 * A shell script as a yardstick: `curl | zstd -d | tar -x` and a sync. It checks nothing.
 */
import { mkdir } from "node:fs/promises";
import { runTimed, type TimedRun } from "./timed-process.ts";

const UNPACK = `set -eu -o pipefail
curl --silent --show-error --fail "$1" | "$2" --decompress --stdout --quiet | tar --extract --directory "$3" --numeric-owner
sync --file-system "$3"`;

export async function pullWithCurl(
  blobUrl: string,
  compressor: "gzip" | "zstd",
  folder: string,
  options: { signal?: AbortSignal } = {},
): Promise<TimedRun> {
  await mkdir(folder, { recursive: true });
  return runTimed("curl", ["bash", "-c", UNPACK, "unpack", blobUrl, compressor, folder], options);
}
