/**
 * The flags of `podman create` that test jobs use, as a table: what each does to a step, or why it does nothing.
 * Read as podman's own parser does (pflag): up to the first word that is no flag, which is the image.
 */

import { showValue } from "../../redaction/patterns.ts";
import type { ContainerSettings, Step } from "../step.ts";
import { findNearestName } from "./nearest-name.ts";
import { isTrue, parseDeviceFlag, parseMountFlag, parseTmpfsFlag, parseVolumeFlag } from "./podman-mounts.ts";
import { parseSize } from "./size.ts";
import { parseDuration, ValueError } from "./values.ts";

/** The step under construction, with everything that flags write to. */
export interface StepDraft extends Omit<Step, "kind"> {
  envFiles: string[];
  volumes: NonNullable<Step["volumes"]>;
  container: ContainerSettings;
}

interface PodmanFlag {
  names: readonly string[];
  /** What the flag needs behind it; absent: it is on or off. */
  takes?: string;
  read?: (value: string, draft: StepDraft) => void;
  /** Why the flag changes nothing; it is accepted in silence. */
  idle?: string;
  /** Why it cannot be had; using it is an error. */
  refused?: string;
}

type Settings = ContainerSettings;
/** Settings that hold a list. */
type ListName = {
  [Name in keyof Settings]-?: NonNullable<Settings[Name]> extends string[] ? Name : never;
}[keyof Settings];

const push =
  (name: ListName, split = false) =>
  (value: string, { container }: StepDraft) => {
    container[name] = [...(container[name] ?? []), ...(split ? value.split(",") : [value])];
  };

const set =
  <Name extends keyof Settings>(name: Name, parse: (value: string) => NonNullable<Settings[Name]>) =>
  (value: string, { container }: StepDraft) => {
    container[name] = parse(value);
  };

const asText = (value: string) => value;

/** Namespaces of podman that make sense with one test on one machine. */
const asOneOf =
  <Choice extends string>(...choices: Choice[]) =>
  (value: string): Choice => {
    const found = choices.find((choice) => choice === value);
    if (found === undefined) {
      throw new ValueError(`has "${showValue(value)}": known are ${choices.join(" and ")}`);
    }
    return found;
  };

const asNumber = (value: string): number => {
  if (!/^-?\d+(\.\d+)?$/.test(value)) throw new ValueError(`has "${showValue(value)}", which is no number`);
  return Number(value);
};

/** podman takes seconds where a duration has no unit. */
const asSeconds = (value: string): number =>
  value === "0" ? 0 : parseDuration(/^\d+$/.test(value) ? `${value}s` : value);

const toggle = (name: "isPrivileged" | "hasTerminal" | "keepsInputOpen" | "isReadOnly" | "hasInit") =>
  set(name, (value) => isTrue(value, "it"));

/** A JSON list, or one word; an empty one takes the image's entrypoint away. */
function parseEntrypoint(value: string): string[] {
  if (value === "") return [];
  if (!value.startsWith("[")) return [value];
  try {
    const words: unknown = JSON.parse(value);
    if (Array.isArray(words) && words.every((word) => typeof word === "string")) return words;
  } catch {
    // As podman does: what is no JSON is one word.
  }
  return [value];
}

const ONE_JOB = "the machine runs one job and forgets its containers";
const NO_BRIDGE = "containers of a test job share the machine's network";

const FLAGS: readonly PodmanFlag[] = [
  { names: ["-e", "--env"], takes: "NAME=VALUE", read: (value, { env }) => env.push(value) },
  { names: ["--env-file"], takes: "FILE", read: (value, { envFiles }) => envFiles.push(value) },
  {
    names: ["-v", "--volume"],
    takes: "SOURCE:TARGET",
    read: (value, { volumes }) => volumes.push(parseVolumeFlag(value)),
  },
  { names: ["--mount"], takes: "FIELDS", read: (value, { volumes }) => volumes.push(parseMountFlag(value)) },
  { names: ["--tmpfs"], takes: "TARGET", read: (value, { volumes }) => volumes.push(parseTmpfsFlag(value)) },
  {
    names: ["--device"],
    takes: "DEVICE",
    read: (value, { container }) => {
      container.devices = [...(container.devices ?? []), parseDeviceFlag(value)];
    },
  },
  {
    names: ["-w", "--workdir"],
    takes: "DIRECTORY",
    read: (value, draft) => {
      if (!value.startsWith("/"))
        throw new ValueError(`has "${showValue(value)}", which is not an absolute path`);
      draft.workdir = value;
    },
  },
  {
    names: ["--entrypoint"],
    takes: "COMMAND",
    read: (value, draft) => {
      draft.entrypoint = parseEntrypoint(value);
    },
  },
  { names: ["-t", "--tty"], read: toggle("hasTerminal") },
  { names: ["-i", "--interactive"], read: toggle("keepsInputOpen") },
  { names: ["--privileged"], read: toggle("isPrivileged") },
  { names: ["--read-only"], read: toggle("isReadOnly") },
  { names: ["--init"], read: toggle("hasInit") },
  { names: ["-u", "--user"], takes: "USER", read: set("user", asText) },
  { names: ["--group-add"], takes: "GROUP", read: push("groups") },
  { names: ["-h", "--hostname"], takes: "NAME", read: set("hostname", asText) },
  { names: ["--umask"], takes: "MASK", read: set("umask", asText) },
  { names: ["--tz"], takes: "ZONE", read: set("timezone", asText) },
  { names: ["--cap-add"], takes: "CAPABILITY", read: push("addedCapabilities", true) },
  { names: ["--cap-drop"], takes: "CAPABILITY", read: push("droppedCapabilities", true) },
  { names: ["--security-opt"], takes: "OPTION", read: push("securityOptions") },
  { names: ["--network", "--net"], takes: "MODE", read: set("network", asOneOf("host", "none")) },
  { names: ["--pid"], takes: "MODE", read: set("pid", asOneOf("host", "private")) },
  { names: ["--ipc"], takes: "MODE", read: set("ipc", asOneOf("host", "private", "none", "shareable")) },
  { names: ["--uts"], takes: "MODE", read: set("uts", asOneOf("host", "private")) },
  { names: ["--cgroupns"], takes: "MODE", read: set("cgroups", asOneOf("host", "private")) },
  { names: ["--dns"], takes: "ADDRESS", read: push("nameservers", true) },
  { names: ["--dns-search"], takes: "DOMAIN", read: push("searchDomains", true) },
  { names: ["--add-host"], takes: "NAME:ADDRESS", read: push("hosts") },
  { names: ["--shm-size"], takes: "SIZE", read: set("shmSizeBytes", parseSize) },
  { names: ["-m", "--memory"], takes: "SIZE", read: set("memoryBytes", parseSize) },
  { names: ["--cpus"], takes: "NUMBER", read: set("cpus", asNumber) },
  { names: ["--pids-limit"], takes: "NUMBER", read: set("maxProcesses", asNumber) },
  { names: ["--oom-score-adj"], takes: "NUMBER", read: set("oomScoreAdjust", asNumber) },
  { names: ["--ulimit"], takes: "NAME=SOFT[:HARD]", read: push("ulimits") },
  { names: ["--sysctl"], takes: "NAME=VALUE", read: push("sysctls") },
  { names: ["--stop-signal"], takes: "SIGNAL", read: set("stopSignal", asText) },
  { names: ["--stop-timeout"], takes: "SECONDS", read: set("stopTimeoutMs", asSeconds) },
  { names: ["--timeout"], takes: "SECONDS", read: set("timeoutMs", asSeconds) },
  {
    names: ["--tls-verify"],
    read: (value, { container }) => {
      container.isRegistryInsecure = !isTrue(value, "it");
    },
  },
  { names: ["--rm"], idle: ONE_JOB },
  { names: ["--replace"], idle: ONE_JOB },
  { names: ["--name"], takes: "NAME", idle: ONE_JOB },
  { names: ["-l", "--label"], takes: "NAME=VALUE", idle: ONE_JOB },
  { names: ["--annotation"], takes: "NAME=VALUE", idle: ONE_JOB },
  { names: ["--pull"], takes: "POLICY", idle: "an image is always asked for, and its layers are kept" },
  { names: ["-q", "--quiet"], idle: "the log has its own measure" },
  { names: ["--log-driver"], takes: "DRIVER", idle: "the output goes to the console and to a file" },
  { names: ["--log-opt"], takes: "OPTION", idle: "the output goes to the console and to a file" },
  { names: ["-a", "--attach"], takes: "STREAM", idle: "the output is always attached" },
  { names: ["--runtime"], takes: "PATH", idle: "the runtime is the agent's" },
  { names: ["--http-proxy"], idle: "nothing of the agent's environment is passed on" },
  { names: ["--device-cgroup-rule"], takes: "RULE", idle: "every device is allowed" },
  { names: ["--no-healthcheck"], idle: "health is not checked" },
  { names: ["--dns-option", "--dns-opt"], takes: "OPTION", refused: "resolver options are not supported" },
  { names: ["-p", "--publish"], takes: "PORTS", refused: NO_BRIDGE },
  { names: ["-P", "--publish-all"], refused: NO_BRIDGE },
  { names: ["--ip"], takes: "ADDRESS", refused: NO_BRIDGE },
  { names: ["--userns"], takes: "MODE", refused: "a test runs as the machine's root" },
  { names: ["--volumes-from"], takes: "CONTAINER", refused: "containers have no names; use a volume" },
  { names: ["--pod"], takes: "NAME", refused: "there are no pods; use services" },
  { names: ["--rootfs"], refused: "the root is an image" },
  { names: ["--gpus"], takes: "GPUS", refused: "use --device, or nothing: a privileged container has all" },
  {
    names: ["--creds"],
    takes: "USER:PASSWORD",
    refused: "registry credentials come from registry.json (docs/credentials.md)",
  },
  {
    names: ["--authfile"],
    takes: "FILE",
    refused: "registry credentials come from registry.json (docs/credentials.md)",
  },
  { names: ["--platform"], takes: "PLATFORM", refused: "the image is the one for this machine" },
  { names: ["--arch"], takes: "ARCHITECTURE", refused: "the image is the one for this machine" },
];

/** What a switch has without `=`. */
const ON = "true";

export interface ReadFlags {
  /** The words from the image on. */
  rest: string[];
  /** Each as the end of "Cannot read …: …". */
  complaints: string[];
}

/** Reads the flags in front of the image into `draft`, as far as they can be read. */
export function readPodmanFlags(words: readonly string[], draft: StepDraft): ReadFlags {
  const complaints: string[] = [];
  const rest = [...words];
  const apply = (shown: string, flag: PodmanFlag | undefined, value: string | undefined) => {
    try {
      applyFlag(shown, flag, value, draft);
    } catch (error) {
      if (!(error instanceof ValueError)) throw error;
      complaints.push(`its flag "${showValue(shown)}" ${error.message}`);
    }
  };
  for (let word = rest[0]; word?.startsWith("-") && word !== "-"; word = rest[0]) {
    rest.shift();
    if (word === "--") break;
    const takeNext = (flag: PodmanFlag | undefined) => (flag?.takes === undefined ? undefined : rest.shift());
    if (word.startsWith("--")) {
      const [, name = word, value] = /^(--[^=]+)=(.*)$/s.exec(word) ?? [];
      const flag = findFlag(name);
      apply(name, flag, value ?? takeNext(flag));
      continue;
    }
    // -tiv A:B is -t -i -v A:B; what follows the first that takes a value is its value.
    for (let at = 1; at < word.length; at++) {
      const flag = findFlag(`-${word[at]}`);
      const attached = word.slice(at + 1).replace(/^=/, "");
      const isLast = !flag || flag.takes !== undefined || word[at + 1] === "=";
      if (isLast) apply(`-${word[at]}`, flag, attached === "" ? takeNext(flag) : attached);
      else apply(`-${word[at]}`, flag, undefined);
      if (isLast) break;
    }
  }
  return { rest, complaints };
}

function findFlag(name: string): PodmanFlag | undefined {
  return FLAGS.find(({ names }) => names.includes(name));
}

function applyFlag(
  shown: string,
  flag: PodmanFlag | undefined,
  value: string | undefined,
  draft: StepDraft,
): void {
  if (!flag) {
    const names = FLAGS.flatMap(({ names }) => names.filter((name) => name.startsWith("--")));
    throw new ValueError(`is no flag known here; the nearest is "${findNearestName(shown, names)}"`);
  }
  if (flag.refused !== undefined) throw new ValueError(`cannot be had: ${flag.refused}`);
  if (flag.takes !== undefined && value === undefined) throw new ValueError(`has no ${flag.takes} behind it`);
  flag.read?.(value ?? ON, draft);
}
