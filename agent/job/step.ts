/**
 * A step: one command in a root, with the settings of its container.
 * Absent settings come from the image, or are the defaults: privileged, on the host's network.
 */
import type { AgentError } from "../errors.ts";
import type { ImageReference } from "../oci/reference.ts";

/** Services run in parallel with the main steps, post steps after them in any case. */
export type StepKind = "service" | "main" | "post";

export interface Step {
  kind: StepKind;
  /** Absent for the job's root. */
  image?: StepImage;
  /** Replaces the image's entrypoint and command; empty for no entrypoint. */
  entrypoint?: string[];
  /** Arguments of the entrypoint; absent or empty for the image's command. */
  argv?: string[];
  /** `NAME=VALUE`; a later one overrides an earlier one. */
  env: string[];
  /** Files of the DUT with lines `NAME=VALUE`; `env` overrides them. */
  envFiles?: string[];
  volumes?: Mount[];
  workdir?: string;
  container?: ContainerSettings;
  /** `argv` is the root's own init; the container ends when it exits. */
  isInit?: boolean;
  /** Why this step cannot run: it fails when its turn comes. */
  error?: AgentError;
  /** The text of the container, whose variables get their values when the step's turn comes. */
  source?: string;
}

export type StepImage =
  | ImageReference
  /** An image of a local store: the first hex digits of its id. */
  | { id: string };

export interface Mount {
  kind: "bind" | "volume" | "tmpfs";
  /** A path of the DUT for `bind`, a name for `volume`; absent for an anonymous volume. */
  source?: string;
  /** Absolute path in the container. */
  target: string;
  /** podman's mount options: `ro`, `noexec`, `size=64m`. */
  options: string[];
}

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
  /** Addresses; `none` keeps the image's resolv.conf. */
  nameservers?: string[];
  searchDomains?: string[];
  /** Names of the image's environment variables that the container does not get. */
  unsetEnvironment?: string[];
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
  /** Its registry may have an unknown certificate. */
  isRegistryInsecure?: boolean;
}

/** Whether a user sits at its terminal, so that output must not be buffered. */
export function isInteractive({
  container = {},
  isInit = false,
}: Pick<Step, "container" | "isInit">): boolean {
  const hasTerminal = container.hasTerminal ?? isInit;
  return hasTerminal && (isInit || container.keepsInputOpen === true);
}
