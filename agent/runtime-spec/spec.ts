/**
 * Makes the runtime's config.json for a step from the image's config and the step's settings. OCI runtime-spec 1.0.
 * A container is privileged by default, as with `podman run --privileged --network=host`: tests use the machine's devices.
 */
import type { ContainerSettings, Step } from "../job/step.ts";
import type { ImageConfig } from "../oci/image.ts";
import { planCapabilities } from "./capabilities.ts";
import type { RuntimeSpec } from "./config.ts";
import { type BindRequest, planMounts, planRootPropagation, type TmpfsRequest } from "./mounts.ts";
import { type ContainerUser, resolveGroups, resolveUser, type UserFiles } from "./passwd.ts";
import { planArgs, planEnv, planResourceLimits } from "./process.ts";
import { type DeviceNode, planResources } from "./resources.ts";
import { createSettingError } from "./setting-error.ts";

export interface RuntimeSpecOptions {
  config: Pick<ImageConfig, "env" | "entrypoint" | "cmd" | "workingDir" | "user">;
  step: Pick<Step, "entrypoint" | "argv" | "env" | "workdir" | "container" | "isInit">;
  /** `NAME=VALUE` set by the agent; precedence: image < these < files < job. */
  extraEnv?: readonly string[];
  /** From environment files. */
  fileEnv?: readonly string[];
  rootPath: string;
  hostname: string;
  /** Mounted after the standard mounts. */
  binds: readonly BindRequest[];
  tmpfs?: readonly TmpfsRequest[];
  /** The devices of the settings, as found on this machine. */
  devices?: readonly DeviceNode[];
  /** A static init on the DUT, for `hasInit`. */
  initPath?: string;
  userFiles?: UserFiles;
  /** Relative to the cgroup mount; created by the runtime. */
  cgroupPath: string;
  devPath?: string;
  capabilityMask: bigint;
  /** The soft and hard limit of open files: the machine's maximum (/proc/sys/fs/nr_open). */
  openFileLimit: number;
  fileSystems?: ReadonlySet<string>;
}

/** The path that podman uses. */
const INIT_TARGET = "/run/podman-init";

/** Throws RUN_NO_COMMAND, IMAGE_UNKNOWN_USER, RUN_BAD_SETTING. */
export function planRuntimeSpec(options: RuntimeSpecOptions): RuntimeSpec {
  const { config, step, userFiles = {}, devices = [], hostname } = options;
  const settings: ContainerSettings = step.container ?? {};
  const isPrivileged = settings.isPrivileged ?? true;
  const user = resolveUser(settings.user ?? config.user, userFiles);
  const namespaces = planNamespaces(settings);
  const security = planSecurity(isPrivileged, settings.securityOptions);
  const args = planArgs(step, config);
  const init = planInit(settings, options.initPath, namespaces);
  const hasTerminal = settings.hasTerminal ?? step.isInit === true;
  const hasOwnNodes = !isPrivileged && devices.length > 0;
  const mounts = planMounts({
    isPrivileged,
    isReadOnly: settings.isReadOnly ?? false,
    runsInit: isInitContainer(step, config),
    ipc: settings.ipc === "shareable" ? "private" : (settings.ipc ?? "private"),
    shmSizeBytes: settings.shmSizeBytes,
    procOptions: security.procOptions,
    devPath: options.devPath ?? "/dev",
    binds: [...options.binds, ...init.binds, ...(isPrivileged ? bindDevices(devices) : [])],
    tmpfs: options.tmpfs ?? [],
    fileSystems: options.fileSystems ?? new Set(),
  });
  const propagation = planRootPropagation(mounts);
  return {
    ociVersion: "1.0.2",
    process: {
      terminal: hasTerminal,
      user: planUser(user, settings, userFiles),
      args: [...init.args, ...args],
      env: planEnv({
        home: user.home,
        hostname,
        hasTerminal,
        image: config.env.filter((entry) => !settings.unsetEnvironment?.includes(entry.split("=", 1)[0]!)),
        agent: options.extraEnv ?? [],
        files: options.fileEnv ?? [],
        job: step.env,
      }),
      cwd: planWorkdir(step, config),
      capabilities: planCapabilities({
        isPrivileged,
        added: settings.addedCapabilities,
        dropped: settings.droppedCapabilities,
        uid: user.uid,
        mask: options.capabilityMask,
      }),
      rlimits: planResourceLimits(settings.ulimits ?? [], options.openFileLimit),
      noNewPrivileges: security.noNewPrivileges,
      apparmorProfile: security.appArmorProfile,
      // Not the agent's own negative score.
      oomScoreAdj: settings.oomScoreAdjust ?? 0,
    },
    root: { path: options.rootPath, readonly: settings.isReadOnly ?? false },
    ...(namespaces.includes("uts") && { hostname }),
    mounts,
    linux: {
      namespaces: namespaces.map((type) => ({ type })),
      cgroupsPath: options.cgroupPath,
      resources: planResources(settings, isPrivileged ? undefined : devices),
      devices: hasOwnNodes ? devices.map(({ source: _source, access: _access, ...node }) => node) : [],
      sysctl: planSysctls(settings.sysctls ?? []),
      maskedPaths: security.maskedPaths,
      readonlyPaths: security.readonlyPaths,
      rootfsPropagation: propagation,
    },
  };
}

export function planWorkdir(
  { workdir }: Pick<Step, "workdir">,
  { workingDir }: Pick<ImageConfig, "workingDir">,
): string {
  const directory = workdir ?? workingDir;
  return directory.startsWith("/") ? directory : `/${directory}`;
}

/** Commands that podman treats as an init (--systemd=true). */
const INITS = new Set(["/sbin/init", "/usr/sbin/init", "/usr/local/sbin/init", "systemd"]);

/** Whether the job marks the step as an init, or podman would. */
export function isInitContainer(
  step: Pick<Step, "isInit" | "entrypoint" | "argv">,
  config: Pick<ImageConfig, "entrypoint" | "cmd">,
): boolean {
  const [program = ""] = planArgs(step, config);
  return step.isInit === true || INITS.has(program) || program.endsWith("/systemd");
}

function planNamespaces({ network, pid, ipc, uts, cgroups }: ContainerSettings): string[] {
  return [
    "mount",
    ...(pid === "host" ? [] : ["pid"]),
    ...(ipc === "host" ? [] : ["ipc"]),
    ...(uts === "host" ? [] : ["uts"]),
    ...(cgroups === "host" ? [] : ["cgroup"]),
    ...(network === "none" ? ["network"] : []),
  ];
}

function planUser(
  { uid, gid, additionalGids }: ContainerUser,
  settings: ContainerSettings,
  files: UserFiles,
) {
  const more = resolveGroups(settings.groups ?? [], files).filter((id) => !additionalGids.includes(id));
  return {
    uid,
    gid,
    additionalGids: [...additionalGids, ...more],
    ...(settings.umask !== undefined && { umask: readUmask(settings.umask) }),
  };
}

function readUmask(text: string): number {
  if (!/^0?[0-7]{1,3}$/.test(text))
    throw createSettingError(`Cannot set the umask "${text}": it is not an octal number up to 777`);
  return Number.parseInt(text, 8);
}

function planInit(
  { hasInit = false }: ContainerSettings,
  initPath: string | undefined,
  namespaces: string[],
) {
  if (!hasInit) return { args: [], binds: [] };
  if (!namespaces.includes("pid"))
    throw createSettingError(
      "Cannot run the command with an init: the container shares the machine's processes",
    );
  if (initPath === undefined)
    throw createSettingError("Cannot run the command with an init: this initrd has none");
  return { args: [INIT_TARGET, "--"], binds: [{ from: initPath, to: INIT_TARGET, options: ["ro"] }] };
}

/** A privileged container has all of the machine's nodes; a device may get another name. */
function bindDevices(devices: readonly DeviceNode[]): BindRequest[] {
  return devices
    .filter(({ source, path }) => source !== path)
    .map(({ source, path }) => ({ from: source, to: path, options: ["bind", "dev"] }));
}

function planSysctls(sysctls: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    sysctls.map((text) => {
      const [, name, value] = /^([^=]+)=(.*)$/s.exec(text) ?? [];
      if (name === undefined || value === undefined)
        throw createSettingError(`Cannot set the kernel parameter "${text}": it is not NAME=VALUE`);
      return [name, value];
    }),
  );
}

const MASKED = (
  "/proc/acpi /proc/asound /proc/interrupts /proc/kcore /proc/keys /proc/latency_stats /proc/sched_debug /proc/scsi " +
  "/proc/timer_list /proc/timer_stats /sys/dev/block /sys/devices/virtual/powercap /sys/firmware /sys/fs/selinux"
).split(" ");
const READ_ONLY = "/proc/bus /proc/fs /proc/irq /proc/sys /proc/sysrq-trigger".split(" ");

interface SecurityPlan {
  noNewPrivileges: boolean;
  maskedPaths: string[];
  readonlyPaths: string[];
  appArmorProfile?: string;
  procOptions: string[];
}

/** Throws RUN_BAD_SETTING for unsupported options: the test must not run with less protection than requested. */
export function planSecurity(isPrivileged: boolean, options: readonly string[] = []): SecurityPlan {
  const plan: SecurityPlan = {
    noNewPrivileges: false,
    maskedPaths: isPrivileged ? [] : [...MASKED],
    readonlyPaths: isPrivileged ? [] : [...READ_ONLY],
    procOptions: [],
  };
  for (const option of options) apply(option, plan);
  return plan;
}

function apply(option: string, plan: SecurityPlan): void {
  const [, name = "", value] = /^([\w-]+)(?:[=:](.*))?$/s.exec(option) ?? [];
  const paths = (value ?? "").split(":").filter((path) => path !== "");
  // There is no such confinement here, so disabling it has no effect.
  const isUnconfined = value === "unconfined" || value === "disable";
  if (name === "no-new-privileges" && /^(true|false)?$/.test(value ?? "")) {
    plan.noNewPrivileges = value !== "false";
  } else if (name === "mask" && paths.length > 0) plan.maskedPaths.push(...paths);
  else if (name === "unmask" && paths.length > 0) unmask(paths, plan);
  else if (name === "systempaths" && isUnconfined) unmask(["ALL"], plan);
  else if (name === "proc-opts" && value) plan.procOptions.push(...value.split(","));
  else if (name === "apparmor" && value && !isUnconfined) plan.appArmorProfile = value;
  else if (name === "label" || (isUnconfined && (name === "apparmor" || name === "seccomp"))) return;
  else throw createSettingError(`Cannot apply the security option "${option}": it is not supported`);
}

function unmask(paths: readonly string[], plan: SecurityPlan): void {
  const isNamed = (path: string) =>
    paths.some((named) => named.toUpperCase() === "ALL" || matches(named, path));
  plan.maskedPaths = plan.maskedPaths.filter((path) => !isNamed(path));
  plan.readonlyPaths = plan.readonlyPaths.filter((path) => !isNamed(path));
}

/** `/proc/*` matches what is directly below /proc, as in podman. */
function matches(named: string, path: string): boolean {
  if (!named.endsWith("/*")) return named === path;
  const directory = named.slice(0, -1);
  return path.startsWith(directory) && !path.slice(directory.length).includes("/");
}
