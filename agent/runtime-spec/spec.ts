/**
 * Plans the runtime's config.json for one step of a job out of the image's config and the step's settings.
 * OCI runtime-spec 1.0. Privileged unless the job says otherwise: a test job drives the machine's devices, as
 * `podman run --privileged --network=host`.
 */
import { AgentError } from "../errors.ts";
import type { ContainerSettings, Step } from "../job/step.ts";
import type { ImageConfig } from "../oci/image.ts";
import { planCapabilities } from "./capabilities.ts";
import type { RuntimeSpec } from "./config.ts";
import { type BindRequest, planMounts, planRootPropagation, type TmpfsRequest } from "./mounts.ts";
import { type ContainerUser, resolveGroups, resolveUser, type UserFiles } from "./passwd.ts";
import { planArgs, planEnv, planResourceLimits } from "./process.ts";
import type { DeviceNode } from "./resources.ts";
import { planResources } from "./resources.ts";
import { planSecurity } from "./security.ts";

export interface RuntimeSpecOptions {
  config: Pick<ImageConfig, "env" | "entrypoint" | "cmd" | "workingDir" | "user">;
  step: Pick<Step, "entrypoint" | "argv" | "env" | "workdir" | "container" | "isInit">;
  /** `NAME=VALUE` of the agent's own accord; image < these < files < job. */
  extraEnv?: readonly string[];
  /** Of environment files. */
  fileEnv?: readonly string[];
  /** The mounted root, as the runtime sees it. */
  rootPath: string;
  hostname: string;
  /** After the standard mounts. */
  binds: readonly BindRequest[];
  tmpfs?: readonly TmpfsRequest[];
  /** Those of the settings, as they are on this machine. */
  devices?: readonly DeviceNode[];
  /** A static init on the DUT, for `hasInit`. */
  initPath?: string;
  userFiles?: UserFiles;
  /** Relative to the cgroup mount; the runtime creates it. */
  cgroupPath: string;
  devPath?: string;
  capabilityMask: bigint;
  /** Files a process may have open, soft and hard: what this machine can give (/proc/sys/fs/nr_open). */
  openFileLimit: number;
  fileSystems?: ReadonlySet<string>;
}

/** Where podman puts its own. */
const INIT_TARGET = "/run/podman-init";

/** Throws RUN_NO_COMMAND when neither job nor image says what to run, IMAGE_UNKNOWN_USER, RUN_BAD_SETTING. */
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
      args: [...init.words, ...args],
      env: planEnv({
        home: user.home,
        hostname,
        hasTerminal,
        image: config.env,
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
      // The agent protects itself with a negative score, which its children would inherit.
      oomScoreAdj: settings.oomScoreAdjust ?? 0,
    },
    root: { path: options.rootPath, readonly: settings.isReadOnly ?? false },
    ...(namespaces.includes("uts") && { hostname }),
    mounts,
    linux: {
      // No user namespace: root is root.
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

/** The directory the process starts in; always absolute. */
function planWorkdir(
  { workdir }: Pick<Step, "workdir">,
  { workingDir }: Pick<ImageConfig, "workingDir">,
): string {
  const directory = workdir ?? workingDir;
  return directory.startsWith("/") ? directory : `/${directory}`;
}

/** podman's own list of commands that are an init (--systemd=true). */
const INITS = new Set(["/sbin/init", "/usr/sbin/init", "/usr/local/sbin/init", "systemd"]);

/** The job says so, or the command is one that podman prepares a container for as well. */
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
  if (!/^0?[0-7]{1,3}$/.test(text)) {
    throw new AgentError(
      "RUN_BAD_SETTING",
      `Cannot set the umask "${text}": it is no octal number up to 777`,
    );
  }
  return Number.parseInt(text, 8);
}

function planInit(
  { hasInit = false }: ContainerSettings,
  initPath: string | undefined,
  namespaces: string[],
) {
  if (!hasInit) return { words: [], binds: [] };
  if (!namespaces.includes("pid")) {
    throw new AgentError(
      "RUN_BAD_SETTING",
      "Cannot put an init in front of the command: it shares the machine's processes",
    );
  }
  if (initPath === undefined) {
    throw new AgentError(
      "RUN_BAD_SETTING",
      "Cannot put an init in front of the command: this initrd has none",
    );
  }
  return {
    words: [INIT_TARGET, "--"],
    binds: [{ from: initPath, to: INIT_TARGET, options: ["ro"] }],
  };
}

/** All of the machine's nodes are in a privileged container; a device may still be wanted under another name. */
function bindDevices(devices: readonly DeviceNode[]): BindRequest[] {
  return devices
    .filter(({ source, path }) => source !== path)
    .map(({ source, path }) => ({ from: source, to: path, options: ["bind", "dev"] }));
}

function planSysctls(sysctls: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    sysctls.map((text) => {
      const [, name, value] = /^([^=]+)=(.*)$/s.exec(text) ?? [];
      if (name === undefined || value === undefined) {
        throw new AgentError(
          "RUN_BAD_SETTING",
          `Cannot set the kernel parameter "${text}": it is not NAME=VALUE`,
        );
      }
      return [name, value];
    }),
  );
}
