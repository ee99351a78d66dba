/**
 * The farm's NFS server: nfs-ganesha, in user space, versions 3 and 4 over TCP. Started on demand.
 * On loopback it uses free ports, which a mount must name; in a gateway's network it uses the standard ports.
 */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { ToolsRoot } from "../tools-root.ts";
import { type ServerProcess, startServer } from "./server-process.ts";

export interface NfsShare {
  /** Path on this machine. Its file system must support exports: overlayfs and FUSE do not. */
  directory: string;
  /** The absolute path that clients of all versions mount. */
  path: string;
  isWritable: boolean;
}

export interface NfsServerOptions {
  /** The tools of a gateway, to serve inside its network. */
  tools: ToolsRoot;
  /** Folder for state and logs. */
  folder: string;
  shares: readonly NfsShare[];
  /** The gateway's address; absent: loopback and free ports. */
  gatewayAddress?: string;
  onDeath: (message: string) => void;
  signal?: AbortSignal;
}

export interface NfsServer extends ServerProcess {
  /** NFS port, all versions. */
  port: number;
  /** Port of version 3's MOUNT protocol. */
  mountPort: number;
}

const NFS_PORT = 2049;

export async function startNfsServer(options: NfsServerOptions): Promise<NfsServer> {
  const { tools, folder, gatewayAddress, onDeath, signal } = options;
  await mkdir(join(folder, "recovery"), { recursive: true });
  const configPath = join(folder, "ganesha.conf");
  await writeFile(configPath, formatConfig(options));
  const script = join(import.meta.dirname, "nfs-server.sh");
  const words = tools.commandWords("bash", [script, configPath, gatewayAddress ? "shared" : "own"]);
  const { otherPort, ...server } = await startServer({
    name: "nfs-ganesha",
    // A separate process namespace: rpcbind changes its user and would outlive the script.
    words: ["unshare", "--pid", "--fork", "--kill-child", "--", ...words],
    logPath: join(folder, "ganesha.log"),
    readyPattern: /^nfs port (\d+), mount port (\d+)$/,
    onDeath,
    signal,
  });
  return { ...server, mountPort: otherPort };
}

function formatConfig({ shares, folder, gatewayAddress }: NfsServerOptions): string {
  const blocks = [
    `NFS_CORE_PARAM {
  Protocols = 3, 4;
  Bind_addr = ${gatewayAddress ?? "127.0.0.1"};
  NFS_Port = ${gatewayAddress ? NFS_PORT : 0};
  Enable_UDP = false;
  Enable_NLM = false;
  Enable_RQUOTA = false;
  mount_path_pseudo = true;
  Plugins_Dir = "/usr/lib/x86_64-linux-gnu/ganesha";
  Allow_Set_Io_Flusher_Fail = true;
}`,
    `NFSV4 {
  Graceless = true;
  Only_Numeric_Owners = true;
  RecoveryRoot = "${join(folder, "recovery")}";
}`,
    "NFS_KRB5 { Active_krb5 = false; }",
    // A root file system needs its owners, so ids are not squashed.
    "EXPORT_DEFAULTS { SecType = sys; Squash = no_root_squash; Transports = TCP; Protocols = 3, 4; }",
    ...shares.map(
      ({ directory, path, isWritable }, index) => `EXPORT {
  Export_Id = ${index + 1};
  Path = "${directory}";
  Pseudo = "${path}";
  Access_Type = ${isWritable ? "RW" : "RO"};
  FSAL { Name = VFS; }
}`,
    ),
  ];
  return `${blocks.join("\n")}\n`;
}
