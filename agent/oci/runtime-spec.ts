/**
 * Plans the runtime's config.json for one step of a job out of the image's config.
 * OCI runtime-spec 1.0. Privileged on purpose: a test job drives the machine's devices, as `podman run --privileged --network=host`.
 */
import { AgentError } from "../errors.ts";
import type { ImageConfig } from "./image.ts";
import { resolveUser, type UserFiles } from "./passwd.ts";

export interface RuntimeSpecOptions {
  config: Pick<ImageConfig, "env" | "entrypoint" | "cmd" | "workingDir" | "user">;
  /** Replaces the image's entrypoint and command. */
  argv?: string[];
  /** `NAME=VALUE`, on top of the image's; a later one wins. */
  env: string[];
  /** The mounted root, as the runtime sees it. */
  rootPath: string;
  hostname: string;
  /** Binds of files and directories of the DUT, after the standard mounts. */
  binds: { from: string; to: string; readOnly?: boolean }[];
  userFiles?: UserFiles;
  /** Relative to the cgroup mount; the runtime creates it. */
  cgroupPath: string;
  /** Where the DUT's own device nodes are. */
  devPath?: string;
  /** The agent's own, as a bit mask (CapEff in /proc/self/status): nobody can give more than he has. */
  capabilityMask: bigint;
  /** Files a process may have open, soft and hard: what this machine can give (/proc/sys/fs/nr_open). */
  openFileLimit: number;
  /** The kernel's file systems (/proc/filesystems), for the mounts that not every kernel has. */
  fileSystems?: ReadonlySet<string>;
}

interface RuntimeMount {
  destination: string;
  type: string;
  source: string;
  options: string[];
}

export interface RuntimeSpec {
  ociVersion: string;
  process: {
    terminal: false;
    user: { uid: number; gid: number; additionalGids: number[] };
    args: string[];
    env: string[];
    cwd: string;
    capabilities: Record<"bounding" | "effective" | "inheritable" | "permitted", string[]>;
    rlimits: { type: string; soft: number; hard: number }[];
    noNewPrivileges: false;
    oomScoreAdj: number;
  };
  root: { path: string; readonly: false };
  hostname: string;
  mounts: RuntimeMount[];
  linux: {
    namespaces: { type: string }[];
    cgroupsPath: string;
    maskedPaths: string[];
    readonlyPaths: string[];
  };
}

/** Docker's and podman's default for images without a PATH. */
const DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** Throws RUN_NO_COMMAND when neither job nor image says what to run, IMAGE_UNKNOWN_USER for a user it has not. */
export function planRuntimeSpec(options: RuntimeSpecOptions): RuntimeSpec {
  const { config } = options;
  const args = options.argv ?? [...config.entrypoint, ...config.cmd];
  if (args.length === 0) {
    throw new AgentError("RUN_NO_COMMAND", "Cannot run the image: it has no entrypoint and no command");
  }
  const user = resolveUser(config.user, options.userFiles ?? {});
  const capabilities = CAPABILITIES.filter((_name, bit) => (options.capabilityMask >> BigInt(bit)) & 1n);
  return {
    ociVersion: "1.0.2",
    process: {
      terminal: false,
      user: { uid: user.uid, gid: user.gid, additionalGids: user.additionalGids },
      args,
      env: mergeEnv(
        [`PATH=${DEFAULT_PATH}`, `HOME=${user.home}`, `HOSTNAME=${options.hostname}`, "container=oci"],
        config.env,
        options.env,
      ),
      cwd: config.workingDir.startsWith("/") ? config.workingDir : `/${config.workingDir}`,
      // No ambient set: a user other than root loses them at exec, as with podman.
      capabilities: {
        bounding: capabilities,
        effective: capabilities,
        inheritable: capabilities,
        permitted: capabilities,
      },
      rlimits: [{ type: "RLIMIT_NOFILE", soft: options.openFileLimit, hard: options.openFileLimit }],
      noNewPrivileges: false,
      // The agent protects itself with a negative score, which its children would inherit.
      oomScoreAdj: 0,
    },
    root: { path: options.rootPath, readonly: false },
    hostname: options.hostname,
    mounts: planMounts(options),
    linux: {
      // No network namespace: the host's. No user namespace: root is root.
      namespaces: ["pid", "mount", "ipc", "uts", "cgroup"].map((type) => ({ type })),
      cgroupsPath: options.cgroupPath,
      maskedPaths: [],
      readonlyPaths: [],
    },
  };
}

/** Of several `NAME=` the last wins and keeps the first one's place. */
export function mergeEnv(...lists: readonly (readonly string[])[]): string[] {
  const byName = new Map<string, string>();
  for (const entry of lists.flat())
    byName.set(entry.slice(0, (entry.indexOf("=") + 1 || entry.length + 1) - 1), entry);
  return [...byName.values()];
}

function planMounts({
  devPath = "/dev",
  binds,
  fileSystems = new Set(),
}: RuntimeSpecOptions): RuntimeMount[] {
  const safe = ["nosuid", "noexec", "nodev"];
  const mounts: RuntimeMount[] = [
    { destination: "/proc", type: "proc", source: "proc", options: safe },
    { destination: "/sys", type: "sysfs", source: "sysfs", options: [...safe, "rw"] },
    { destination: "/sys/fs/cgroup", type: "cgroup", source: "cgroup", options: [...safe, "rw"] },
    // The machine's own nodes, GPUs and what is plugged in later included; what is mounted below them stays outside.
    { destination: "/dev", type: "bind", source: devPath, options: ["bind", "rprivate", "nosuid", "rw"] },
    {
      destination: "/dev/pts",
      type: "devpts",
      source: "devpts",
      options: ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
    },
    // Half of the memory, the kernel's default, and not podman's 64 MB: renderers share large buffers.
    { destination: "/dev/shm", type: "tmpfs", source: "shm", options: ["nosuid", "nodev", "mode=1777"] },
  ];
  if (fileSystems.has("mqueue")) {
    mounts.push({ destination: "/dev/mqueue", type: "mqueue", source: "mqueue", options: safe });
  }
  for (const { from, to, readOnly } of binds) {
    mounts.push({
      destination: to,
      type: "bind",
      source: from,
      options: ["rbind", "rprivate", readOnly ? "ro" : "rw"],
    });
  }
  return mounts;
}

/** By number, from include/uapi/linux/capability.h. */
const CAPABILITIES = (
  "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE " +
  "NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN " +
  "SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE " +
  "MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE"
)
  .split(" ")
  .map((name) => `CAP_${name}`);
