/**
 * The arguments, environment and resource limits of the container's first process.
 * OCI runtime-spec 1.0, config.md; image and job are combined as in podman.
 */
import { AgentError } from "../errors.ts";
import type { Step } from "../job/step.ts";
import type { ImageConfig } from "../oci/image.ts";
import { createSettingError } from "./setting-error.ts";

/** Docker's and podman's default for images without a PATH. */
const DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** Throws RUN_NO_COMMAND if neither the job nor the image has a command. */
export function planArgs(
  { entrypoint, argv = [] }: Pick<Step, "entrypoint" | "argv">,
  config: Pick<ImageConfig, "entrypoint" | "cmd">,
): string[] {
  // The image's command belongs to the image's entrypoint: another entrypoint replaces both.
  const command = argv.length > 0 || entrypoint !== undefined ? argv : config.cmd;
  const args = [...(entrypoint ?? config.entrypoint), ...command];
  if (args.length === 0 || args[0] === "") {
    throw new AgentError("RUN_NO_COMMAND", "Cannot run the image: it has no entrypoint and no command");
  }
  return args;
}

export interface EnvSources {
  home: string;
  hostname: string;
  hasTerminal: boolean;
  image: readonly string[];
  /** Set by the agent. */
  agent: readonly string[];
  /** Of environment files. */
  files: readonly string[];
  job: readonly string[];
}

/** Later sources override earlier ones. `NAME` or `NA*` without a value copies the agent's variables. */
export function planEnv({ home, hostname, hasTerminal, image, agent, files, job }: EnvSources): string[] {
  const passOn = (entry: string) => {
    if (entry.includes("=")) return [entry];
    if (entry.endsWith("*")) return agent.filter((known) => known.startsWith(entry.slice(0, -1)));
    return agent.filter((known) => known.startsWith(`${entry}=`));
  };
  return mergeEnv(
    [`PATH=${DEFAULT_PATH}`, `HOME=${home}`, `HOSTNAME=${hostname}`, "container=oci"],
    hasTerminal ? ["TERM=xterm"] : [],
    image,
    agent,
    files.flatMap(passOn),
    job.flatMap(passOn),
  );
}

/** The last value of a name counts, at the position of the first. */
export function mergeEnv(...lists: readonly (readonly string[])[]): string[] {
  const byName = new Map<string, string>();
  for (const entry of lists.flat())
    byName.set(entry.slice(0, (entry.indexOf("=") + 1 || entry.length + 1) - 1), entry);
  return [...byName.values()];
}

/**
 * The lines of an environment file as podman's --env-file reads them: `NAME=VALUE` without quotes and escapes, or a bare
 * `NAME` or `NA*`. Throws RUN_BAD_SETTING, whose message has only the line's number.
 */
export function parseEnvFile(text: string, name: string): string[] {
  return text.split("\n").flatMap((rawLine, index) => {
    const line = rawLine.replace(/\r$/, "").trimStart();
    if (line.startsWith("=")) {
      const reason = `line ${index + 1} has a value without a name`;
      throw createSettingError(`Cannot read the environment file "${name}": ${reason}`);
    }
    return line === "" || line.startsWith("#") ? [] : [line];
  });
}

/** The kernel's "no limit", which a double cannot represent. */
const RLIM_INFINITY = 0xffff_ffff_ffff_ffffn;

export interface ResourceLimit {
  type: string;
  soft: number | bigint;
  hard: number | bigint;
}

const LIMITS = new Set(
  "core cpu data fsize locks memlock msgqueue nice nofile nproc rss rtprio rttime sigpending stack".split(
    " ",
  ),
);

/** `ulimits` as `nofile=1024:2048`, -1 for no limit, or `host` for the agent's limits. Throws RUN_BAD_SETTING. */
export function planResourceLimits(ulimits: readonly string[], openFileLimit: number): ResourceLimit[] {
  if (ulimits.includes("host")) return [];
  const byType = new Map<string, ResourceLimit>([
    ["RLIMIT_NOFILE", { type: "RLIMIT_NOFILE", soft: openFileLimit, hard: openFileLimit }],
  ]);
  for (const text of ulimits) {
    const [, name = "", soft = "", hard = soft] = /^(\w+)=(-?\d+)(?::(-?\d+))?$/.exec(text) ?? [];
    const limit = { type: `RLIMIT_${name.toUpperCase()}`, soft: readLimit(soft), hard: readLimit(hard) };
    if (!LIMITS.has(name.toLowerCase()) || limit.soft > limit.hard) {
      throw createSettingError(
        `Cannot set the limit "${text}": it is not NAME=SOFT[:HARD] with a name of getrlimit(2) and SOFT up to HARD`,
      );
    }
    byType.set(limit.type, limit);
  }
  return [...byType.values()];
}

function readLimit(text: string): number | bigint {
  return text.startsWith("-") ? RLIM_INFINITY : Number(text);
}

const NAMES = (
  "HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT CHLD CONT STOP TSTP TTIN TTOU URG XCPU " +
  "XFSZ VTALRM PROF WINCH IO PWR SYS"
).split(" ");
const RTMIN = 34;
const RTMAX = 64;

/** systemd halts on it (systemd.io/CONTAINER_INTERFACE). */
export const SIGRTMIN_3 = RTMIN + 3;
export const SIGTERM = 15;

/** `SIGINT`, `int`, `2`, `SIGRTMIN+3`. Throws RUN_BAD_SETTING. */
export function parseSignal(text: string): number {
  const name = text.toUpperCase().replace(/^SIG/, "");
  const [, base, offset = "0"] = /^(RTMIN|RTMAX)([+-]\d+)?$/.exec(name) ?? [];
  const isNumber = /^\d+$/.test(name);
  let number = isNumber ? Number(name) : NAMES.indexOf(name) + 1;
  if (base) number = (base === "RTMIN" ? RTMIN : RTMAX) + Number(offset);
  if (number < 1 || number > RTMAX || (base && number < RTMIN))
    throw createSettingError(`Cannot stop a container with "${text}": it is not a signal`);
  return number;
}
