/**
 * The capabilities of a container's process: those of the agent if privileged, else podman's default set, plus what the job
 * adds, minus what it drops. capabilities(7); podman-create(1), --cap-add and --cap-drop.
 */
import { createSettingError } from "./setting-error.ts";

const splitNames = (text: string) => text.split(" ").map((name) => `CAP_${name}`);

/** By number, from include/uapi/linux/capability.h. */
const CAPABILITIES = splitNames(
  "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE " +
    "NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN " +
    "SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE " +
    "MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE",
);

/** podman's since 4.0. */
const UNPRIVILEGED = new Set(
  splitNames(
    "CHOWN DAC_OVERRIDE FOWNER FSETID KILL NET_BIND_SERVICE SETFCAP SETGID SETPCAP SETUID SYS_CHROOT",
  ),
);

export interface CapabilityOptions {
  isPrivileged: boolean;
  /** `NET_ADMIN`, `cap_net_admin` or `all`. */
  added?: readonly string[];
  dropped?: readonly string[];
  uid: number;
  /** The agent's own capabilities (CapEff in /proc/self/status): a container cannot have more. */
  mask: bigint;
}

export type CapabilitySets = Record<
  "bounding" | "effective" | "inheritable" | "permitted" | "ambient",
  string[]
>;

/** Throws RUN_BAD_SETTING for an unknown capability. */
export function planCapabilities({
  isPrivileged,
  added = [],
  dropped = [],
  uid,
  mask,
}: CapabilityOptions): CapabilitySets {
  const add = readNames(added);
  const drop = readNames(dropped);
  const own = CAPABILITIES.filter((_name, bit) => (mask >> BigInt(bit)) & 1n);
  const isKept = (name: string) => {
    if (drop.names.has(name)) return false;
    if (add.isAll || add.names.has(name)) return true;
    return !drop.isAll && (isPrivileged || UNPRIVILEGED.has(name));
  };
  const bounding = own.filter(isKept);
  // Other users than root have only the added ones, and keep them over exec; set-id programs can regain the rest.
  const effective = uid === 0 ? bounding : bounding.filter((name) => add.isAll || add.names.has(name));
  const ambient = uid === 0 ? [] : effective;
  return { bounding, effective, permitted: effective, inheritable: ambient, ambient };
}

function readNames(words: readonly string[]): { isAll: boolean; names: ReadonlySet<string> } {
  const names = new Set<string>();
  let isAll = false;
  for (const word of words) {
    const upper = word.toUpperCase();
    const name = upper.startsWith("CAP_") ? upper : `CAP_${upper}`;
    if (upper === "ALL") isAll = true;
    else if (CAPABILITIES.includes(name)) names.add(name);
    else throw createSettingError(`Cannot add or drop the capability "${word}": it does not exist`);
  }
  return { isAll, names };
}
