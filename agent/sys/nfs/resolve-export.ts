/**
 * Which export of which server a job means: what it says itself, and for the rest what the DHCP answer said.
 * Documentation/admin-guide/nfs/nfsroot.rst, and what net/ipv4/ipconfig.c takes out of an answer.
 */
import { AgentError } from "../../errors.ts";
import type { NfsExport, NfsRoot } from "../../job/job.ts";
import type { NetworkState } from "../network/network.ts";

/** The export with nothing left open. Throws NFS_EXPORT_UNKNOWN. */
export function completeNfsPlace(
  { server, path, version, options }: Omit<NfsRoot["nfs"], "isWritable">,
  { interfaces, boot = {} }: Pick<NetworkState, "interfaces" | "boot">,
): NfsExport {
  const offered = parseRootPath(boot.rootPath ?? "");
  // Without a path of the job's own, the server of the root path goes with it; a server alone is asked for its own path.
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

/** `[SERVER:]PATH[,OPTION…]`, as DHCP option 17 has it. */
function parseRootPath(text: string): { server?: string; path?: string; options: string[] } {
  const [place = "", ...options] = text.split(",");
  const [, server, path] = /^(?:nfs:)?(?:(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+):)?(\/.*)$/.exec(place) ?? [];
  if (path === undefined) return { options: [] };
  return { server, path, options: options.filter((word) => word !== "") };
}
