/**
 * Runs mmdebstrap on the archive that this machine's apt knows, shut in: its mounts and processes are in namespaces of
 * their own, so that whatever way it ends neither stays behind. A root that is thrown away has no live /sys in it then.
 */
import { locateDebianArchive } from "./debian-archive.ts";
import { runProcess } from "./run-process.ts";

export interface MmdebstrapOptions {
  release: string;
  /** mmdebstrap's own options: variant, packages, hooks. */
  options: readonly string[];
  /** The folder that becomes the root; it must not exist. */
  target: string;
  env?: NodeJS.ProcessEnv;
  signal?: AbortSignal;
}

/** Without the mount namespace its /proc and /sys were seen to stay mounted after a kill (mmdebstrap 1.3.5, root mode). */
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
