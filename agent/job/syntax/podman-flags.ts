/**
 * The flags of `podman create` that test jobs use, as a table: what each sets in a step, or why it has no effect.
 * They are read as podman's parser (pflag) reads them: up to the first word that is not a flag, which is the image.
 */

import { showValue } from "../../redaction/patterns.ts";
import type { ContainerSettings, Mount, Step } from "../step.ts";
import { findNearestName } from "./nearest-name.ts";
import { isTrue, parseDeviceFlag, parseMountFlag, parseTmpfsFlag, parseVolumeFlag } from "./podman-mounts.ts";
import { parseDuration, parseSize, ValueError } from "./values.ts";

type FlagReader = (value: string, step: Step) => void;

interface PodmanFlag {
  names: readonly string[];
  /** The form of its value; absent for a switch. */
  takes?: string;
  read?: FlagReader;
  /** Why the flag has no effect here; it is accepted silently. */
  ignored?: string;
  /** Why using the flag is an error. */
  unsupported?: string;
}

type Settings = ContainerSettings;
/** Settings that hold a list. */
type ListName = {
  [Name in keyof Settings]-?: NonNullable<Settings[Name]> extends string[] ? Name : never;
}[keyof Settings];

const append =
  (name: ListName, split: (value: string) => string[] = (value) => [value]): FlagReader =>
  (value, step) => {
    step.container = { ...step.container, [name]: [...(step.container?.[name] ?? []), ...split(value)] };
  };

const set =
  <Name extends keyof Settings>(
    name: Name,
    parse: (value: string) => NonNullable<Settings[Name]>,
  ): FlagReader =>
  (value, step) => {
    step.container = { ...step.container, [name]: parse(value) };
  };

const addMount =
  (parse: (value: string) => Mount): FlagReader =>
  (value, step) => {
    step.volumes = [...(step.volumes ?? []), parse(value)];
  };

const asText = (value: string) => value;
const asList = (value: string) => value.split(",");

const asOneOf =
  <Choice extends string>(...choices: Choice[]) =>
  (value: string): Choice => {
    const known = choices.find((choice) => choice === value);
    if (known !== undefined) return known;
    throw new ValueError(`has "${showValue(value)}", but only ${choices.join(" and ")} are supported`);
  };

const asNumber = (value: string): number => {
  if (!/^-?\d+(\.\d+)?$/.test(value))
    throw new ValueError(`has "${showValue(value)}", which is not a number`);
  return Number(value);
};

/** podman takes seconds where a duration has no unit. */
const asSeconds = (value: string): number =>
  value === "0" ? 0 : parseDuration(/^\d+$/.test(value) ? `${value}s` : value);

const toggle = (name: "isPrivileged" | "hasTerminal" | "keepsInputOpen" | "isReadOnly" | "hasInit") =>
  set(name, (value) => isTrue(value, "it"));

/** A JSON list or one word; an empty value removes the image's entrypoint. */
function parseEntrypoint(value: string): string[] {
  if (value === "") return [];
  if (!value.startsWith("[")) return [value];
  try {
    const words: unknown = JSON.parse(value);
    if (Array.isArray(words) && words.every((word) => typeof word === "string")) return words;
  } catch {
    // Not JSON: one word, as for podman.
  }
  return [value];
}

const ONE_JOB = "the machine runs one job and keeps no containers";
const CREDENTIALS = "registry credentials come from registry.json (docs/credentials.md)";
const OPEN_PORTS = "every port of a container is one of the machine";
const HARD_LIMITS = "only the limits of --memory, --cpus and --pids-limit are applied";
const NO_BRIDGE = "containers of a test job share the machine's network";

const FLAGS: readonly PodmanFlag[] = [
  { names: ["-e", "--env"], takes: "NAME=VALUE", read: (value, { env }) => env.push(value) },
  {
    names: ["--env-file"],
    takes: "FILE",
    read: (value, step) => {
      step.envFiles = [...(step.envFiles ?? []), value];
    },
  },
  { names: ["-v", "--volume"], takes: "SOURCE:TARGET", read: addMount(parseVolumeFlag) },
  { names: ["--mount"], takes: "FIELDS", read: addMount(parseMountFlag) },
  { names: ["--tmpfs"], takes: "TARGET", read: addMount(parseTmpfsFlag) },
  {
    names: ["--device"],
    takes: "DEVICE",
    read: (value, step) => {
      const devices = [...(step.container?.devices ?? []), parseDeviceFlag(value)];
      step.container = { ...step.container, devices };
    },
  },
  {
    names: ["-w", "--workdir"],
    takes: "DIRECTORY",
    read: (value, step) => {
      // podman starts from the root.
      step.workdir = value.startsWith("/") ? value : `/${value}`;
    },
  },
  {
    names: ["--entrypoint"],
    takes: "COMMAND",
    read: (value, step) => {
      step.entrypoint = parseEntrypoint(value);
    },
  },
  { names: ["-t", "--tty"], read: toggle("hasTerminal") },
  { names: ["-i", "--interactive"], read: toggle("keepsInputOpen") },
  { names: ["--privileged"], read: toggle("isPrivileged") },
  { names: ["--read-only"], read: toggle("isReadOnly") },
  { names: ["--init"], read: toggle("hasInit") },
  { names: ["-u", "--user"], takes: "USER", read: set("user", asText) },
  { names: ["--group-add"], takes: "GROUP", read: append("groups") },
  { names: ["-h", "--hostname"], takes: "NAME", read: set("hostname", asText) },
  { names: ["--umask"], takes: "MASK", read: set("umask", asText) },
  { names: ["--tz"], takes: "ZONE", read: set("timezone", asText) },
  { names: ["--cap-add"], takes: "CAPABILITY", read: append("addedCapabilities", asList) },
  { names: ["--cap-drop"], takes: "CAPABILITY", read: append("droppedCapabilities", asList) },
  { names: ["--security-opt"], takes: "OPTION", read: append("securityOptions") },
  { names: ["--network", "--net"], takes: "MODE", read: set("network", asOneOf("host", "none")) },
  { names: ["--pid"], takes: "MODE", read: set("pid", asOneOf("host", "private")) },
  { names: ["--ipc"], takes: "MODE", read: set("ipc", asOneOf("host", "private", "none", "shareable")) },
  { names: ["--uts"], takes: "MODE", read: set("uts", asOneOf("host", "private")) },
  { names: ["--cgroupns"], takes: "MODE", read: set("cgroups", asOneOf("host", "private")) },
  { names: ["--dns"], takes: "ADDRESS", read: append("nameservers", asList) },
  { names: ["--dns-search"], takes: "DOMAIN", read: append("searchDomains", asList) },
  { names: ["--add-host"], takes: "NAME:ADDRESS", read: append("hosts") },
  {
    names: ["--shm-size"],
    takes: "SIZE",
    // 0 is podman's word for no limit but that of the memory.
    read: (value, step) => (value === "0" ? undefined : set("shmSizeBytes", parseSize)(value, step)),
  },
  { names: ["--unsetenv"], takes: "NAME", read: append("unsetEnvironment", asList) },
  { names: ["-m", "--memory"], takes: "SIZE", read: set("memoryBytes", parseSize) },
  { names: ["--cpus"], takes: "NUMBER", read: set("cpus", asNumber) },
  { names: ["--pids-limit"], takes: "NUMBER", read: set("maxProcesses", asNumber) },
  { names: ["--oom-score-adj"], takes: "NUMBER", read: set("oomScoreAdjust", asNumber) },
  { names: ["--ulimit"], takes: "NAME=SOFT[:HARD]", read: append("ulimits") },
  { names: ["--sysctl"], takes: "NAME=VALUE", read: append("sysctls") },
  { names: ["--stop-signal"], takes: "SIGNAL", read: set("stopSignal", asText) },
  { names: ["--stop-timeout"], takes: "SECONDS", read: set("stopTimeoutMs", asSeconds) },
  { names: ["--timeout"], takes: "SECONDS", read: set("timeoutMs", asSeconds) },
  { names: ["--tls-verify"], read: set("isRegistryInsecure", (value) => !isTrue(value, "it")) },
  { names: ["--rm"], ignored: ONE_JOB },
  { names: ["--replace"], ignored: ONE_JOB },
  { names: ["--name"], takes: "NAME", ignored: ONE_JOB },
  { names: ["-l", "--label"], takes: "NAME=VALUE", ignored: ONE_JOB },
  { names: ["--annotation"], takes: "NAME=VALUE", ignored: ONE_JOB },
  {
    names: ["--pull"],
    takes: "POLICY",
    ignored: "the registry is always asked for the image; layers are cached",
  },
  { names: ["-q", "--quiet"], ignored: "the agent decides what it logs" },
  { names: ["--log-driver"], takes: "DRIVER", ignored: "the output goes to the console and to a file" },
  { names: ["--log-opt"], takes: "OPTION", ignored: "the output goes to the console and to a file" },
  { names: ["-a", "--attach"], takes: "STREAM", ignored: "the output is always attached" },
  { names: ["--runtime"], takes: "PATH", ignored: "the agent brings its own runtime" },
  { names: ["--http-proxy"], ignored: "the agent's environment is not passed on" },
  { names: ["--device-cgroup-rule"], takes: "RULE", ignored: "every device is allowed" },
  { names: ["--no-healthcheck"], ignored: "dutboot runs no health checks" },
  {
    names: ["--dns-option", "--dns-opt"],
    takes: "OPTION",
    unsupported: "resolver options are not supported",
  },
  { names: ["-p", "--publish"], takes: "PORTS", ignored: OPEN_PORTS },
  { names: ["-P", "--publish-all"], ignored: OPEN_PORTS },
  { names: ["--expose"], takes: "PORTS", ignored: OPEN_PORTS },
  { names: ["--restart"], takes: "POLICY", ignored: ONE_JOB },
  { names: ["--systemd"], takes: "MODE", ignored: "an init is recognized by its command" },
  { names: ["--no-hosts"], ignored: "/etc/hosts has the names of this machine only" },
  { names: ["--env-host"], ignored: "the agent's environment is not passed on" },
  { names: ["--memory-swap"], takes: "SIZE", ignored: HARD_LIMITS },
  { names: ["--memory-swappiness"], takes: "NUMBER", ignored: HARD_LIMITS },
  { names: ["--memory-reservation"], takes: "SIZE", ignored: HARD_LIMITS },
  { names: ["-c", "--cpu-shares"], takes: "NUMBER", ignored: HARD_LIMITS },
  { names: ["--cpuset-cpus"], takes: "CPUS", ignored: HARD_LIMITS },
  { names: ["--cpuset-mems"], takes: "NODES", ignored: HARD_LIMITS },
  { names: ["--ip"], takes: "ADDRESS", unsupported: NO_BRIDGE },
  {
    names: ["--userns"],
    takes: "MODE",
    // A test runs as root of the machine.
    read: (value) => void asOneOf("host")(value || "host"),
  },
  { names: ["--volumes-from"], takes: "CONTAINER", unsupported: "containers have no names; use a volume" },
  { names: ["--pod"], takes: "NAME", unsupported: "dutboot does not support pods; use services" },
  { names: ["--rootfs"], unsupported: "the root is an image" },
  {
    names: ["--gpus"],
    takes: "GPUS",
    unsupported: "use --device; a privileged container has all devices anyway",
  },
  { names: ["--creds"], takes: "USER:PASSWORD", unsupported: CREDENTIALS },
  { names: ["--authfile"], takes: "FILE", unsupported: CREDENTIALS },
  { names: ["--platform"], takes: "PLATFORM", unsupported: "the image is the one for this machine" },
  { names: ["--arch"], takes: "ARCHITECTURE", unsupported: "the image is the one for this machine" },
];

/** The value of a switch without `=`. */
const ON = "true";

export interface ReadFlags {
  /** The words from the image on. */
  rest: string[];
  /** Each completes "Cannot read …: …". */
  problems: string[];
}

/** Applies the flags before the image to `step`, as far as they can be read. */
export function readPodmanFlags(words: readonly string[], step: Step): ReadFlags {
  const problems: string[] = [];
  const rest = [...words];
  const apply = (name: string, flag: PodmanFlag | undefined, value: string | undefined) => {
    try {
      applyFlag(name, flag, value, step);
    } catch (error) {
      if (!(error instanceof ValueError)) throw error;
      problems.push(`its flag "${showValue(name)}" ${error.message}`);
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
    // -tiv A:B is -t -i -v A:B: the text after the first flag that takes a value is its value.
    for (let at = 1; at < word.length; at++) {
      const flag = findFlag(`-${word[at]}`);
      const attached = word.slice(at + 1).replace(/^=/, "");
      const isLast = !flag || flag.takes !== undefined || word[at + 1] === "=";
      apply(`-${word[at]}`, flag, isLast ? attached || takeNext(flag) : undefined);
      if (isLast) break;
    }
  }
  return { rest, problems };
}

function findFlag(name: string): PodmanFlag | undefined {
  return FLAGS.find(({ names }) => names.includes(name));
}

function applyFlag(name: string, flag: PodmanFlag | undefined, value: string | undefined, step: Step): void {
  if (!flag) {
    const names = FLAGS.flatMap(({ names }) => names.filter((known) => known.startsWith("--")));
    throw new ValueError(`is unknown; the nearest known one is "${findNearestName(name, names)}"`);
  }
  if (flag.unsupported !== undefined) throw new ValueError(`is not supported: ${flag.unsupported}`);
  if (flag.takes !== undefined && value === undefined) throw new ValueError(`needs ${flag.takes} after it`);
  flag.read?.(value ?? ON, step);
}
