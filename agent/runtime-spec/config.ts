/**
 * The parts of the runtime's config.json that we write. OCI runtime-spec 1.0, config.md and config-linux.md.
 */
import type { CapabilitySets } from "./capabilities.ts";
import type { RuntimeMount } from "./mounts.ts";
import type { ResourceLimit } from "./process.ts";
import type { DeviceNode, RuntimeResources } from "./resources.ts";

export interface RuntimeSpec {
  ociVersion: string;
  process: {
    terminal: boolean;
    user: { uid: number; gid: number; additionalGids: number[]; umask?: number };
    args: string[];
    env: string[];
    cwd: string;
    capabilities: CapabilitySets;
    rlimits: ResourceLimit[];
    noNewPrivileges: boolean;
    apparmorProfile?: string;
    oomScoreAdj: number;
  };
  root: { path: string; readonly: boolean };
  hostname?: string;
  mounts: RuntimeMount[];
  linux: {
    namespaces: { type: string }[];
    cgroupsPath: string;
    resources: RuntimeResources;
    devices: Omit<DeviceNode, "source" | "access">[];
    sysctl: Record<string, string>;
    maskedPaths: string[];
    readonlyPaths: string[];
    rootfsPropagation?: string;
  };
}

/** Resource limits may exceed the precision of a double, so they are bigints. */
export function formatRuntimeSpec(spec: RuntimeSpec): string {
  const { rawJSON } = JSON as typeof JSON & { rawJSON(text: string): unknown };
  return JSON.stringify(spec, (_key, value) => (typeof value === "bigint" ? rawJSON(String(value)) : value));
}
