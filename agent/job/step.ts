/**
 * A step: one command in a root, with everything a job may say about its container.
 * What is absent is the image's own, or the default of a test's container: privileged, on the host's network.
 */
import type { AgentError } from "../errors.ts";
import type { ImageReference } from "../oci/reference.ts";

/** Services run beside the main steps, post steps after them whatever came out. */
export type StepKind = "service" | "main" | "post";

export interface Step {
  kind: StepKind;
  /** Absent: the step runs in the job's root. */
  image?: StepImage;
  /** Replaces the image's entrypoint, and then its command does not count either; empty: there is none. */
  entrypoint?: string[];
  /** Words behind the entrypoint; absent or empty where the image's command decides. */
  argv?: string[];
  /** `NAME=VALUE`, in the order given; a later one wins. */
  env: string[];
  /** Files of the DUT with a `NAME=VALUE` a line; `env` wins. */
  envFiles?: string[];
  volumes?: Mount[];
  workdir?: string;
  container?: ContainerSettings;
  /** `argv` is the root's own init: the container is a machine of its own, which ends when that does. */
  isInit?: boolean;
  /** What is wrong with this step alone: it fails when its turn comes, the job goes on as it does after any failure. */
  error?: AgentError;
  /** As it was written, for dialects that know some words only when the step's turn comes. */
  source?: string;
}

export type StepImage =
  | ImageReference
  /** An image that is in the store already: some hex digits of its id. */
  | { id: string };

export interface Mount {
  kind: "bind" | "volume" | "tmpfs";
  /** A path of the DUT for `bind`, a volume's name for `volume`; absent: an anonymous volume. */
  source?: string;
  /** Absolute path in the container. */
  target: string;
  /** Mount options as podman writes them: `ro`, `noexec`, `size=64m`. */
  options: string[];
}

/** Every field is absent unless the job says something. */
export interface ContainerSettings {
  isPrivileged?: boolean;
  hasTerminal?: boolean;
  keepsInputOpen?: boolean;
  isReadOnly?: boolean;
  hasInit?: boolean;
  /** `USER[:GROUP]`, names or numbers. */
  user?: string;
  groups?: string[];
  hostname?: string;
  umask?: string;
  timezone?: string;
  addedCapabilities?: string[];
  droppedCapabilities?: string[];
  devices?: { source: string; target: string; permissions: string }[];
  network?: "host" | "none";
  pid?: "host" | "private";
  ipc?: "host" | "private" | "none" | "shareable";
  uts?: "host" | "private";
  cgroups?: "host" | "private";
  /** Addresses; `none` leaves resolv.conf alone. */
  nameservers?: string[];
  searchDomains?: string[];
  /** `NAME:ADDRESS` lines for /etc/hosts. */
  hosts?: string[];
  shmSizeBytes?: number;
  memoryBytes?: number;
  cpus?: number;
  maxProcesses?: number;
  oomScoreAdjust?: number;
  /** `nofile=1024:2048`. */
  ulimits?: string[];
  sysctls?: string[];
  securityOptions?: string[];
  stopSignal?: string;
  stopTimeoutMs?: number;
  /** The container is stopped after this. */
  timeoutMs?: number;
  /** Its registry may be reached without a known certificate. */
  isRegistryInsecure?: boolean;
}

/** Somebody is meant to sit at its terminal, and gets bytes as they come. */
export function isInteractive({
  container = {},
  isInit = false,
}: Pick<Step, "container" | "isInit">): boolean {
  const hasTerminal = container.hasTerminal ?? isInit;
  return hasTerminal && (isInit || container.keepsInputOpen === true);
}
