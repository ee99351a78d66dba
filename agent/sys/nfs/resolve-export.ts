/**
 * The NFS export of a job: from the job's own settings, completed from the DHCP answer.
 * Documentation/admin-guide/nfs/nfsroot.rst and net/ipv4/ipconfig.c.
 */
import { AgentError } from "../../errors.ts";
import type { NfsExport, NfsRoot } from "../../job/job.ts";
import type { NetworkState } from "../network/network.ts";

/** Throws NFS_EXPORT_UNKNOWN. */
export function resolveExport(
  { server, path, version, options }: Omit<NfsRoot["nfs"], "isWritable">,
  { interfaces, boot = {} }: Pick<NetworkState, "interfaces" | "boot">,
): NfsExport {
  const offered = parseRootPath(boot.rootPath ?? "");
  // The server in DHCP's root path counts only together with that path.
  const isOffered = path === undefined;
  const chosenServer =
    server ?? (isOffered ? offered.server : undefined) ?? boot.nextServer ?? boot.tftpServer;
  const chosenPath = path ?? offered.path;
  if (chosenServer === undefined || chosenPath === undefined) {
    const missing = chosenServer === undefined ? "server" : "path";
    throw new AgentError(
      "NFS_EXPORT_UNKNOWN",
      `Cannot mount the NFS root: neither the job nor DHCP names a ${missing}`,
    );
  }
  const ownAddress = interfaces[0]?.address ?? "";
  return {
    server: chosenServer,
    path: chosenPath.replaceAll("%s", ownAddress),
    version,
    options: [...(isOffered ? offered.options : []), ...options],
  };
}

/** DHCP option 17: `[SERVER:]PATH[,OPTION…]` */
function parseRootPath(text: string): { server?: string; path?: string; options: string[] } {
  const [location = "", ...options] = text.split(",");
  const [, server, path] = /^(?:nfs:)?(?:(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+):)?(\/.*)$/.exec(location) ?? [];
  if (path === undefined) return { options: [] };
  return { server, path, options: options.filter((option) => option !== "") };
}
