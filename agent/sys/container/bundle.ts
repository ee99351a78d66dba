/**
 * Collects what the runtime's config.json needs from this machine and the mounted root, and writes the files that are bound into
 * the container.
 */
import {
  constants,
  existsSync,
  lstatSync,
  readdirSync,
  readFileSync,
  type Stats,
  statSync,
  writeFileSync,
} from "node:fs";
import { hostname as readHostname } from "node:os";
import { join, resolve } from "node:path";
import { AgentError } from "../../errors.ts";
import type { ContainerSettings } from "../../job/step.ts";
import type { RuntimeSpec } from "../../runtime-spec/config.ts";
import { type BindRequest, isOnMount } from "../../runtime-spec/mounts.ts";
import { planHosts, planResolvConf } from "../../runtime-spec/name-files.ts";
import { addPasswdEntry, type UserFiles } from "../../runtime-spec/passwd.ts";
import { parseEnvFile } from "../../runtime-spec/process.ts";
import type { DeviceNode } from "../../runtime-spec/resources.ts";
import { isInitContainer, planRuntimeSpec, planWorkdir } from "../../runtime-spec/spec.ts";
import { ENV_FILE_MAX_BYTES } from "../limits.ts";
import { hasDirectory, makeDirectory, readInRoot, readProcessFacts, readUserFiles } from "./rootfs.ts";
import type { ContainerOptions, StepContainer } from "./step-container.ts";

/** The kernel's default. */
const NO_HOSTNAME = "(none)";

export interface PlanOptions extends ContainerOptions {
  cgroupPath: string;
}

const INIT_PATH = "/usr/bin/tini-static";

export function planContainer(container: StepContainer, options: PlanOptions): RuntimeSpec {
  const { step, config, rootPath, mounts } = container;
  const { devPath, initPath = INIT_PATH } = options;
  const settings = step.container ?? {};
  const ownName = readHostname() === NO_HOSTNAME ? "dut" : readHostname();
  if (settings.hostname !== undefined && settings.uts === "host") {
    throw new AgentError(
      "RUN_BAD_SETTING",
      `Cannot set hostname "${settings.hostname}" for the container: it shares the machine's hostname`,
    );
  }
  const hostname = settings.hostname ?? ownName;
  for (const { from } of mounts) requireFile(from, "bind");
  const userFiles = readUserFiles(rootPath);
  const zone = findTimeZone(container, options.bundleDir);
  const spec = planRuntimeSpec({
    config,
    step: zone.env ? { ...step, env: [zone.env, ...step.env] } : step,
    extraEnv: container.extraEnv,
    fileEnv: (step.envFiles ?? []).flatMap(readEnvFile),
    rootPath,
    hostname,
    binds: [...writeNameFiles(container, { hostname, userFiles }, options), ...zone.binds, ...mounts],
    tmpfs: container.tmpfs,
    devices: readDevices(settings.devices ?? []),
    ...(existsSync(initPath) && { initPath }),
    userFiles,
    cgroupPath: options.cgroupPath,
    devPath,
    ...readProcessFacts(),
  });
  // As podman: the image's own directory is created for the user; one that the job names must exist or be in a mount.
  const { workdir } = step;
  const { cwd, user } = spec.process;
  if (isOnMount(cwd, spec.mounts) || hasDirectory(rootPath, cwd)) return spec;
  if (workdir === undefined) makeDirectory(rootPath, cwd, user);
  else {
    throw new AgentError("RUN_NO_WORKDIR", `Cannot start in "${workdir}": the root has no such directory`);
  }
  return spec;
}

function writeNameFiles(
  { step, config, resultsPath }: StepContainer,
  { hostname, userFiles }: { hostname: string; userFiles: UserFiles },
  { bundleDir, resolvConfPath = "/etc/resolv.conf" }: PlanOptions,
): BindRequest[] {
  const settings = step.container ?? {};
  const machineConf = existsSync(resolvConfPath) ? readFileSync(resolvConfPath, "utf8") : "";
  const files: [to: string, text: string | undefined][] = [
    ["/etc/resolv.conf", planResolvConf(machineConf, settings)],
    ["/etc/hosts", planHosts(hostname, settings.hosts)],
    ["/etc/hostname", `${hostname}\n`],
    ["/etc/passwd", addPasswdEntry(settings.user ?? config.user, userFiles, planWorkdir(step, config))],
    // Programs detect podman's containers by this file; an init does so by its environment.
    ["/run/.containerenv", isInitContainer(step, config) ? undefined : ""],
  ];
  const binds = files.flatMap(([to, text]) => {
    if (text === undefined) return [];
    const from = join(bundleDir, to.slice(1).replaceAll("/", "-"));
    writeFileSync(from, text);
    return [{ from, to, options: ["bind"] }];
  });
  if (resultsPath !== undefined) binds.push({ from: resultsPath, to: "/results", options: [] });
  return binds;
}

/** A larger file is a mistake. */
function readEnvFile(path: string): string[] {
  const file = resolve("/", path);
  requireFile(file, "read the environment file");
  const { size } = statSync(file);
  if (size > ENV_FILE_MAX_BYTES) {
    throw new AgentError("RUN_NO_FILE", `Cannot read the environment file "${path}": it has ${size} bytes`);
  }
  return parseEnvFile(readFileSync(file, "utf8"), path);
}

function requireFile(path: string, what: string): void {
  if (!existsSync(path))
    throw new AgentError("RUN_NO_FILE", `Cannot ${what} "${path}": the DUT has no such file`);
}

/** The zone's file comes from the image, because the initrd has none; without it, TZ names the zone. */
function findTimeZone(
  { step, rootPath }: StepContainer,
  bundleDir: string,
): { env?: string; binds: BindRequest[] } {
  const zone = step.container?.timezone;
  // The machine's own zone is UTC, the default of images too.
  if (zone === undefined || zone === "local") return { binds: [] };
  const bytes = readInRoot(rootPath, `usr/share/zoneinfo/${zone}`);
  if (bytes === undefined) return { env: `TZ=${zone}`, binds: [] };
  const from = join(bundleDir, "localtime");
  writeFileSync(from, bytes);
  return { binds: [{ from, to: "/etc/localtime", options: ["bind", "ro"] }] };
}

type DeviceRequest = NonNullable<ContainerSettings["devices"]>[number];

/** Throws RUN_NO_FILE for a missing path, RUN_BAD_SETTING for one that is not a device. */
function readDevices(requests: readonly DeviceRequest[]): DeviceNode[] {
  return requests.flatMap((request) => {
    let status: Stats;
    try {
      status = statSync(request.source);
    } catch (cause) {
      const { code } = cause as NodeJS.ErrnoException;
      throw new AgentError("RUN_NO_FILE", `Cannot add device "${request.source}" to the container: ${code}`, {
        cause,
      });
    }
    if (!status.isDirectory()) return [describeNode(request, status)];
    return readdirSync(request.source, { recursive: true, encoding: "utf8" }).flatMap((name) => {
      const source = join(request.source, name);
      const found = lstatSync(source);
      const isDevice = found.isCharacterDevice() || found.isBlockDevice();
      return isDevice
        ? [describeNode({ ...request, source, target: join(request.target, name) }, found)]
        : [];
    });
  });
}

function describeNode({ source, target, permissions }: DeviceRequest, status: Stats): DeviceNode {
  const { rdev, mode, uid, gid } = status;
  if (!status.isCharacterDevice() && !status.isBlockDevice()) {
    throw new AgentError(
      "RUN_BAD_SETTING",
      `Cannot add device "${source}" to the container: it is not a device node`,
    );
  }
  return {
    source,
    path: target,
    type: (mode & constants.S_IFMT) === constants.S_IFBLK ? "b" : "c",
    // The C library's encoding of the kernel's 12 bits of major and 20 bits of minor.
    major: (rdev >>> 8) & 0xfff,
    minor: (rdev & 0xff) | ((rdev >>> 12) & 0xfff00),
    fileMode: mode & 0o777,
    uid,
    gid,
    access: permissions,
  };
}
