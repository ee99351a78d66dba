/**
 * Mount options for NFS as the kernel itself reads them (fs/nfs/fs_context.c): there is no mount.nfs here to prepare them.
 * What it does not know stands in the user's own words and goes on as it is: the kernel refuses what it cannot use.
 */

export interface NfsMountPlan {
  /** As in `vers=`. */
  version: string;
  /** What mount(2) takes. */
  source: string;
  data: string;
  /** Kernel modules, beside those they need. */
  modules: string[];
}

export interface NfsMountRequest {
  /** As the job writes it: a name, an address, `[address]`. */
  server: string;
  path: string;
  version?: string;
  options: readonly string[];
  /** What the server's name stands for. */
  serverAddress: string;
  /** Of this machine, for the callbacks of version 4.0. */
  ownAddress?: string;
}

/** The newest first, as mount.nfs(8) does: version 4 needs one port only, and says at once when it is not there. */
const VERSIONS = ["4.2", "4.1", "4.0", "3"];

/** One plan for each version that may be tried, in this order. */
export function planNfsMounts(request: NfsMountRequest): NfsMountPlan[] {
  const { options, version } = request;
  const own = options.flatMap((option) => readVersion(option) ?? []);
  const wanted = own.at(-1) ?? version;
  const rest = options.filter((option) => readVersion(option) === undefined && !IGNORED.has(option));
  const versions = wanted === undefined ? VERSIONS : wanted === "4" ? VERSIONS.slice(0, 3) : [wanted];
  return versions.map((each) => planMount(request, each, rest));
}

/** What is mount(8)'s, the agent's or the kernel's own root mounting's to know, and no option of the file system. */
const IGNORED: ReadonlySet<string> = new Set([
  "rw",
  "ro",
  "auto",
  "noauto",
  "defaults",
  "_netdev",
  "bg",
  "fg",
]);

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
    // Locks by version 3 need a daemon that is not here; nobody else works on this machine's files.
    ...(isOld && !names.has("lock") && !names.has("local_lock") ? ["nolock"] : []),
    ...(["tcp", "udp", "proto", "rdma"].some((name) => names.has(name)) ? [] : ["tcp"]),
    // The kernel asks version 3's MOUNT service by UDP otherwise, which farms seldom let through.
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

/** Where NFS itself listens, as the options say. */
export function readNfsPort(options: readonly string[]): number {
  const port = options.flatMap((option) => /^port=(\d{1,5})$/.exec(option)?.[1] ?? []).at(-1);
  return port === undefined ? 2049 : Number(port);
}

/** True where the options ask for anything but TCP. */
export function avoidsTcp(options: readonly string[]): boolean {
  return options.some((option) => ["udp", "rdma", "proto=udp", "proto=rdma"].includes(option));
}
