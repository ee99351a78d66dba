/** What a container is started with. */
import type { Step } from "../../job/step.ts";
import type { ImageConfig } from "../../oci/image.ts";
import type { SysLog } from "../sys-log.ts";

export interface StepContainer {
  /** Unique among the containers that run: names the container, its cgroup and its bundle. */
  id: string;
  config: Pick<ImageConfig, "env" | "entrypoint" | "cmd" | "workingDir" | "user">;
  /** The mounted root. */
  rootPath: string;
  /** Bound to /results. */
  resultsPath?: string;
  step: Pick<Step, "entrypoint" | "argv" | "env" | "envFiles" | "workdir" | "container" | "isInit">;
  /** `NAME=VALUE` on top of the image's, below the job's. */
  extraEnv: readonly string[];
  /** With `U` among the options a directory becomes the container user's. */
  mounts: readonly { from: string; to: string; options: string[] }[];
  tmpfs: readonly { to: string; options: string[] }[];
  onOutput: (chunk: Buffer) => void;
  /** Gets `NAME=VALUE` of all that its first process will know, before it starts. */
  onEnvironment?: (entries: readonly string[]) => void;
  /** Ends the container: its stop signal, then after the grace everything in it is killed. */
  signal?: AbortSignal;
  /** Where its standard input comes from; without it there is nothing to read. */
  input?: "console" | "none";
}

export interface ContainerOptions {
  log: SysLog;
  /** Where bundles go, one directory a container. */
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
