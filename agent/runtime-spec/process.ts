/**
 * What the container's first process is started with: its words, its environment, its limits.
 * OCI runtime-spec 1.0, config.md; what podman does where image and job both speak.
 */
import { AgentError } from "../errors.ts";
import type { Step } from "../job/step.ts";
import type { ImageConfig } from "../oci/image.ts";

/** Docker's and podman's default for images without a PATH. */
const DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** Throws RUN_NO_COMMAND when neither job nor image says what to run. */
export function planArgs(
  { entrypoint, argv = [] }: Pick<Step, "entrypoint" | "argv">,
  config: Pick<ImageConfig, "entrypoint" | "cmd">,
): string[] {
  // The image's command belongs to the image's entrypoint: with another one it does not count.
  const words = argv.length > 0 || entrypoint !== undefined ? argv : config.cmd;
  const args = [...(entrypoint ?? config.entrypoint), ...words];
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
  /** What the agent says of its own accord. */
  agent: readonly string[];
  /** Of environment files. */
  files: readonly string[];
  job: readonly string[];
}

/** From the weakest up. A name without a value, `NAME` or `NA*`, passes on what the agent says, or nothing. */
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

/** Of several `NAME=` the last wins and keeps the first one's place. */
export function mergeEnv(...lists: readonly (readonly string[])[]): string[] {
  const byName = new Map<string, string>();
  for (const entry of lists.flat())
    byName.set(entry.slice(0, (entry.indexOf("=") + 1 || entry.length + 1) - 1), entry);
  return [...byName.values()];
}

/** Kernel's "no limit"; a bigint, for no double holds it. */
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

/** `ulimits` as `nofile=1024:2048`, -1 for none, or `host` for the agent's own. Throws RUN_BAD_SETTING. */
export function planResourceLimits(ulimits: readonly string[], openFileLimit: number): ResourceLimit[] {
  if (ulimits.includes("host")) return [];
  const byType = new Map<string, ResourceLimit>([
    ["RLIMIT_NOFILE", { type: "RLIMIT_NOFILE", soft: openFileLimit, hard: openFileLimit }],
  ]);
  for (const text of ulimits) {
    const [, name = "", soft = "", hard = soft] = /^(\w+)=(-?\d+)(?::(-?\d+))?$/.exec(text) ?? [];
    const limit = { type: `RLIMIT_${name.toUpperCase()}`, soft: readLimit(soft), hard: readLimit(hard) };
    if (!LIMITS.has(name.toLowerCase()) || limit.soft > limit.hard) {
      throw new AgentError(
        "RUN_BAD_SETTING",
        `Cannot set the limit "${text}": it is not NAME=SOFT[:HARD] with a name of getrlimit(2) and the soft one not above the hard one`,
      );
    }
    byType.set(limit.type, limit);
  }
  return [...byType.values()];
}

function readLimit(text: string): number | bigint {
  return text.startsWith("-") ? RLIM_INFINITY : Number(text);
}
