/**
 * Limits of a container's cgroup, and which devices its processes may open.
 * OCI runtime-spec 1.0, config-linux.md, "Control groups"; the runtime translates them to cgroup v2.
 */
import type { ContainerSettings } from "../job/step.ts";

export interface RuntimeResources {
  memory?: { limit: number };
  cpu?: { quota: number; period: number };
  pids?: { limit: number };
  devices?: { allow: boolean; type?: string; major?: number; minor?: number; access: string }[];
}

/** The kernel's default, in microseconds. */
const CPU_PERIOD_US = 100_000;

/** `allowedDevices` absent: every device. What every program needs (/dev/null, its terminal) the runtime allows itself. */
export function planResources(
  { memoryBytes, cpus, maxProcesses }: ContainerSettings,
  allowedDevices?: readonly DeviceNode[],
): RuntimeResources {
  return {
    // No word of swap: not every kernel can bound it, and a limit that it does not know is an error.
    ...(memoryBytes && { memory: { limit: memoryBytes } }),
    ...(cpus && { cpu: { quota: Math.round(cpus * CPU_PERIOD_US), period: CPU_PERIOD_US } }),
    // 0 and -1 mean no limit to podman, and 0 means none at all to the kernel.
    ...(maxProcesses && maxProcesses > 0 && { pids: { limit: maxProcesses } }),
    ...(allowedDevices && {
      devices: [
        { allow: false, access: "rwm" },
        ...allowedDevices.map(({ type, major, minor, access }) => ({
          allow: true,
          type,
          major,
          minor,
          access,
        })),
      ],
    }),
  };
}

export interface DeviceNode {
  /** On the DUT. */
  source: string;
  /** In the container. */
  path: string;
  type: "c" | "b";
  major: number;
  minor: number;
  /** Permission bits. */
  fileMode: number;
  uid: number;
  gid: number;
  /** Some of `rwm`. */
  access: string;
}
