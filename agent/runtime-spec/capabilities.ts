/**
 * Which capabilities a container's process gets: all that the agent has when privileged, podman's default set otherwise,
 * and what the job adds and drops. capabilities(7); podman-create(1), --cap-add and --cap-drop.
 */
import { AgentError } from "../errors.ts";

/** By number, from include/uapi/linux/capability.h. */
const CAPABILITIES = (
  "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE " +
  "NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN " +
  "SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE " +
  "MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE"
)
  .split(" ")
  .map((name) => `CAP_${name}`);

/** podman's since 4.0. */
const UNPRIVILEGED = new Set(
  "CHOWN DAC_OVERRIDE FOWNER FSETID KILL NET_BIND_SERVICE SETFCAP SETGID SETPCAP SETUID SYS_CHROOT"
    .split(" ")
    .map((name) => `CAP_${name}`),
);

export interface CapabilityWishes {
  isPrivileged: boolean;
  /** `NET_ADMIN`, `cap_net_admin` or `all`. */
  added?: readonly string[];
  dropped?: readonly string[];
  uid: number;
  /** The agent's own, as a bit mask (CapEff in /proc/self/status): nobody can give more than he has. */
  mask: bigint;
}

export type CapabilitySets = Record<
  "bounding" | "effective" | "inheritable" | "permitted" | "ambient",
  string[]
>;

/** Throws RUN_BAD_SETTING for a name that is no capability. */
export function planCapabilities({
  isPrivileged,
  added = [],
  dropped = [],
  uid,
  mask,
}: CapabilityWishes): CapabilitySets {
  const given = readNames(added);
  const taken = readNames(dropped);
  const own = CAPABILITIES.filter((_name, bit) => (mask >> BigInt(bit)) & 1n);
  const isKept = (name: string) => {
    if (taken.names.has(name)) return false;
    if (given.isAll || given.names.has(name)) return true;
    return !taken.isAll && (isPrivileged || UNPRIVILEGED.has(name));
  };
  const bounding = own.filter(isKept);
  // A user other than root has what was asked for by name, and keeps it over exec; the rest he can only regain by set-id programs.
  const held = uid === 0 ? bounding : bounding.filter((name) => given.isAll || given.names.has(name));
  const passedOn = uid === 0 ? [] : held;
  return { bounding, effective: held, permitted: held, inheritable: passedOn, ambient: passedOn };
}

function readNames(words: readonly string[]): { isAll: boolean; names: ReadonlySet<string> } {
  const names = new Set<string>();
  let isAll = false;
  for (const word of words) {
    const upper = word.toUpperCase();
    const name = upper.startsWith("CAP_") ? upper : `CAP_${upper}`;
    if (upper === "ALL") isAll = true;
    else if (CAPABILITIES.includes(name)) names.add(name);
    else {
      throw new AgentError(
        "RUN_BAD_SETTING",
        `Cannot give or take the capability "${word}": there is none of that name`,
      );
    }
  }
  return { isAll, names };
}
