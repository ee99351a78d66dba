/** The settings with which a container is started. */
import type { Step } from "../../job/step.ts";
import type { ImageConfig } from "../../oci/image.ts";
import type { SysLog } from "../sys-log.ts";

export interface StepContainer {
  /** Unique among running containers; also names the cgroup and the bundle. */
  id: string;
  config: Pick<ImageConfig, "env" | "entrypoint" | "cmd" | "workingDir" | "user">;
  /** The mounted root. */
  rootPath: string;
  /** Bound to /results. */
  resultsPath?: string;
  step: Pick<Step, "entrypoint" | "argv" | "env" | "envFiles" | "workdir" | "container" | "isInit">;
  /** `NAME=VALUE`; replace the image's, are replaced by the job's. */
  extraEnv: readonly string[];
  /** Option `U` gives the directory to the container's user. */
  mounts: readonly { from: string; to: string; options: string[] }[];
  tmpfs: readonly { to: string; options: string[] }[];
  onOutput: (chunk: Buffer) => void;
  /** Called before the start with the environment of the first process. */
  onEnvironment?: (entries: readonly string[]) => void;
  /** Stops the container. */
  signal?: AbortSignal;
  /** Source of its standard input; default: none. */
  input?: "console" | "none";
}

export interface ContainerOptions {
  log: SysLog;
  /** Has one directory per container. */
  bundleDir: string;
  runtime?: string;
  /** A static init for steps that ask for one. */
  initPath?: string;
  resolvConfPath?: string;
  devPath?: string;
  consolePath?: string;
  cgroupMountPath?: string;
  graceMs?: number;
  drainMs?: number;
}
