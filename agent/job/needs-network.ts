/**
 * Whether a job needs the network: one with a root in the initrd and no uploads does not.
 */
import type { Job } from "./job.ts";

export function needsNetwork(job: Job): boolean {
  const { root, steps, artifacts, volumes = [], fileSystems = [], machine = {} } = job;
  const { networkBlockDevices = [], extraArgumentsUrl, jobFileUrl, interfaces = [] } = machine;
  const isRemote = ({ url }: { url: string }) => !url.startsWith("file:");
  const hasRemoteRoot =
    root !== undefined &&
    ("image" in root || "nfs" in root || ("archives" in root && root.archives.some(isRemote)));
  return (
    hasRemoteRoot ||
    artifacts.some(isRemote) ||
    steps.some(({ image }) => image !== undefined) ||
    volumes.some(({ pull, push }) => pull !== undefined || push !== undefined) ||
    [fileSystems, networkBlockDevices, interfaces].some(({ length }) => length > 0) ||
    (jobFileUrl !== undefined && isRemote(jobFileUrl)) ||
    (extraArgumentsUrl ?? job.results ?? job.logTo ?? machine.netconsole ?? job.ip) !== undefined
  );
}
