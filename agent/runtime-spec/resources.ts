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

/** Without `allowedDevices` all are allowed. The runtime itself allows what every program needs: /dev/null, its terminal. */
export function planResources(
  { memoryBytes, cpus, maxProcesses }: ContainerSettings,
  allowedDevices?: readonly DeviceNode[],
): RuntimeResources {
  return {
    // No limit for swap: on kernels that do not support it, it would be an error.
    ...(memoryBytes && { memory: { limit: memoryBytes } }),
    ...(cpus && { cpu: { quota: Math.round(cpus * CPU_PERIOD_US), period: CPU_PERIOD_US } }),
    // 0 and -1 mean no limit in podman; for the kernel 0 means no process at all.
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
