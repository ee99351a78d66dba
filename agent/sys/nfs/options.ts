/**
 * NFS mount options in the kernel's form (fs/nfs/fs_context.c), which mount.nfs would prepare elsewhere. Options that this file does
 * not know are passed on, and the kernel refuses what it cannot use.
 */
import { AgentError } from "../../errors.ts";
import type { NfsExport, NfsRoot } from "../../job/job.ts";
import type { NetworkState } from "../network/network.ts";

export interface NfsMountPlan {
  /** As in `vers=`. */
  version: string;
  /** What mount(2) takes. */
  source: string;
  data: string;
  /** Kernel modules, without their dependencies. */
  modules: string[];
}

export interface NfsMountRequest {
  /** As in the job: a name, an address or `[address]`. */
  server: string;
  path: string;
  version?: string;
  options: readonly string[];
  /** The resolved address. */
  serverAddress: string;
  /** This machine's, for the callbacks of version 4.0. */
  ownAddress?: string;
}

/** The newest first, as mount.nfs(8): version 4 needs one port and fails at once where it is missing. */
const VERSIONS = ["4.2", "4.1", "4.0", "3"];

/** One plan per version, in the order to try them. */
export function planNfsMounts(request: NfsMountRequest): NfsMountPlan[] {
  const { options, version } = request;
  const own = options.flatMap((option) => readVersion(option) ?? []);
  const wanted = own.at(-1) ?? version;
  const rest = options.filter((option) => readVersion(option) === undefined && !IGNORED.has(option));
  const versions = wanted === undefined ? VERSIONS : wanted === "4" ? VERSIONS.slice(0, 3) : [wanted];
  return versions.map((each) => planMount(request, each, rest));
}

/** Options for mount(8), the agent or the kernel's root mounting, not for the file system. */
const IGNORED: ReadonlySet<string> = new Set("rw ro auto noauto defaults _netdev bg fg".split(" "));

function readVersion(option: string): string | undefined {
  return /^(?:v|(?:nfs)?vers=)(\d(?:\.\d)?)$/.exec(option)?.[1];
}

function planMount(
  { server, path, serverAddress, ownAddress = "0.0.0.0" }: NfsMountRequest,
  version: string,
  rest: readonly string[],
): NfsMountPlan {
  const names = new Set(rest.map((option) => option.split("=")[0]!.replace(/^no(?=lock$)/, "")));
  const isOld = !version.startsWith("4");
  const data = [
    `vers=${version}`,
    // Version 3 locks need a daemon that the initrd lacks; no other machine writes these files.
    ...(isOld && !names.has("lock") && !names.has("local_lock") ? ["nolock"] : []),
    ...(["tcp", "udp", "proto", "rdma"].some((name) => names.has(name)) ? [] : ["tcp"]),
    // By default the kernel calls version 3's MOUNT service over UDP, which farms often block.
    ...(isOld && !names.has("mountproto") && !names.has("udp") ? ["mountproto=tcp"] : []),
    ...(!isOld && !names.has("clientaddr") ? [`clientaddr=${ownAddress}`] : []),
    ...rest,
    `addr=${serverAddress}`,
  ];
  const host = server.includes(":") && !server.startsWith("[") ? `[${server}]` : server;
  return {
    version,
    source: `${host}:${path}`,
    data: data.join(","),
    modules: ["nfs", isOld ? `nfsv${version}` : "nfsv4"],
  };
}

/** The port of NFS itself. */
export function readNfsPort(options: readonly string[]): number {
  const port = options.flatMap((option) => /^port=(\d{1,5})$/.exec(option)?.[1] ?? []).at(-1);
  return port === undefined ? 2049 : Number(port);
}

/** True where the options select UDP or RDMA. */
export function avoidsTcp(options: readonly string[]): boolean {
  return options.some((option) => ["udp", "rdma", "proto=udp", "proto=rdma"].includes(option));
}

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
