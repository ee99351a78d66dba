/**
 * Runs mmdebstrap on the archive of this machine's apt, in its own mount and process namespaces: however it ends,
 * no mount and no process remains, and deleting the root cannot reach a mounted /sys.
 */
import { locateDebianArchive } from "./debian-archive.ts";
import { runProcess } from "./run-process.ts";

export interface MmdebstrapOptions {
  release: string;
  /** Options for mmdebstrap: variant, packages, hooks. */
  options: readonly string[];
  /** The root's folder; it must not exist. */
  target: string;
  env?: NodeJS.ProcessEnv;
  signal?: AbortSignal;
}

/** Without the mount namespace, /proc and /sys stayed mounted after a kill (mmdebstrap 1.3.5, root mode). */
const SHUT_IN = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--"];

export async function runMmdebstrap({
  release,
  options,
  target,
  env,
  signal,
}: MmdebstrapOptions): Promise<void> {
  const archive = await locateDebianArchive();
  const words = [
    ...SHUT_IN,
    ...["mmdebstrap", "--mode=root", ...options],
    ...archive.aptOptions.map((option) => `--aptopt=${option}`),
    ...[release, target, `deb ${archive.uri} ${release} main`],
  ];
  await runProcess(words, { name: "mmdebstrap", env, signal });
}
