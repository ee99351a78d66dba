/**
 * The farm's NFS server: nfs-ganesha, in user space, for versions 3 and 4 over TCP. It is started by who needs it.
 * On loopback it takes free ports, which a mount must name; inside a gateway's network the usual ones, which it need not.
 */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { ToolsRoot } from "../tools-root.ts";
import { type ServerProcess, startServer } from "./server-process.ts";

export interface NfsShare {
  /** On this machine; of a file system that can be exported: overlayfs and FUSE cannot. */
  directory: string;
  /** What clients mount, in every version: absolute. */
  path: string;
  isWritable: boolean;
}

export interface NfsServerOptions {
  /** Those of a gateway, to serve inside its network. */
  tools: ToolsRoot;
  /** For state and logs. */
  folder: string;
  shares: readonly NfsShare[];
  /** Of the gateway; absent: loopback, and ports that are free. */
  gatewayAddress?: string;
  onDeath: (message: string) => void;
  signal?: AbortSignal;
}

export interface NfsServer extends ServerProcess {
  /** Of NFS, all versions. */
  port: number;
  /** Of version 3's MOUNT protocol. */
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
    // A process namespace of its own: rpcbind changes its user, and would outlive the script otherwise.
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
    // Owners are what a root file system has, so nobody is made somebody else.
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
