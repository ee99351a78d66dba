/**
 * What a step's mounts become in the container: options in the words of the OCI runtime, with podman's defaults
 * (podman-create(1), "--volume", "--mount", "--tmpfs").
 */
import { statSync } from "node:fs";
import { AgentError } from "../errors.ts";
import type { Mount } from "../job/step.ts";

export interface ContainerBind {
  from: string;
  to: string;
  options: string[];
}

export interface ContainerTmpfs {
  to: string;
  options: string[];
}

/** podman's own, which mean nothing without SELinux. */
const WITHOUT_MEANING = new Set(["z", "Z", "copy", "nocopy", "bind", "rbind"]);
const PROPAGATIONS = /^r?(shared|slave|private|unbindable)$/;

/** Throws VOLUME_BAD_MOUNT for what would quietly be another mount without its option. */
export function planBind(from: string, { target, options }: Mount): ContainerBind {
  const unknown = options.find((option) => /^(O$|upperdir=|workdir=|idmap)/.test(option));
  if (unknown !== undefined) {
    throw new AgentError(
      "VOLUME_BAD_MOUNT",
      `Cannot mount on "${target}": the option "${unknown}" is not supported`,
    );
  }
  const kept = options.filter((option) => !WITHOUT_MEANING.has(option) && !option.includes("="));
  const isFlat = options.includes("bind") && !options.includes("rbind");
  const propagation = kept.some((option) => PROPAGATIONS.test(option)) ? [] : ["rprivate"];
  return { from, to: target, options: [isFlat ? "bind" : "rbind", ...propagation, ...kept] };
}

export function planTmpfs({ target, options }: Mount): ContainerTmpfs {
  const kept = options.filter((option) => !WITHOUT_MEANING.has(option) && option !== "notmpcopyup");
  const defaults = options.length === 0 ? ["rw", "noexec", "nosuid", "nodev"] : ["nosuid", "nodev"];
  const isSaid = (option: string) => kept.includes(option) || kept.includes(option.replace(/^no/, ""));
  // What the image has in that place is copied into it, unless the job says otherwise.
  const copies = options.includes("notmpcopyup") || kept.includes("tmpcopyup") ? [] : ["tmpcopyup"];
  return { to: target, options: [...defaults.filter((option) => !isSaid(option)), ...copies, ...kept] };
}

/** As podman, which makes no missing directories on the host. Throws VOLUME_NO_SOURCE. */
export function checkBindSource(path: string): void {
  try {
    statSync(path);
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    throw new AgentError("VOLUME_NO_SOURCE", `Cannot bind "${path}" of the DUT: ${code}`, { cause });
  }
}
