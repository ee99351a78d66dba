/**
 * The mounts of a container in their order: the kernel's file systems, the machine's devices, tmpfs, bind mounts.
 * OCI runtime-spec 1.0, config.md; defaults and options are podman's.
 */
export interface RuntimeMount {
  destination: string;
  type: string;
  source: string;
  options: string[];
}

/** A file or directory of the DUT in the container, with podman's mount options. */
export interface BindRequest {
  from: string;
  to: string;
  options: string[];
}

export interface TmpfsRequest {
  to: string;
  options: string[];
}

export interface MountOptions {
  isPrivileged: boolean;
  isReadOnly: boolean;
  /** An init needs /run, /run/lock and /tmp as mounts and a writable cgroup tree (systemd.io/CONTAINER_INTERFACE). */
  runsInit: boolean;
  ipc: "host" | "private" | "none";
  /** By default half of the memory, as in the kernel. */
  shmSizeBytes?: number;
  procOptions: readonly string[];
  /** Where the DUT's own device nodes are. */
  devPath: string;
  binds: readonly BindRequest[];
  tmpfs: readonly TmpfsRequest[];
  /** The kernel's file systems (/proc/filesystems). */
  fileSystems: ReadonlySet<string>;
}

/** A mount of the job replaces another one at the same path; mounts below others follow them. */
export function planMounts(options: MountOptions): RuntimeMount[] {
  const mounts = [
    ...planKernelMounts(options),
    ...planSharedMemory(options),
    ...planScratch(options),
    ...options.tmpfs.map(planTmpfs),
    ...options.binds.map(planBind),
  ];
  const byPath = new Map<string, RuntimeMount>();
  for (const mount of mounts) byPath.set(normalize(mount.destination), mount);
  return [...byPath].sort(([a], [b]) => countParts(a) - countParts(b)).map(([, mount]) => mount);
}

const SAFE = ["nosuid", "noexec", "nodev"];
const DEVPTS_OPTIONS = ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"];

function planKernelMounts({ isPrivileged, runsInit, procOptions, devPath }: MountOptions): RuntimeMount[] {
  const access = isPrivileged ? "rw" : "ro";
  const cgroupAccess = isPrivileged || runsInit ? "rw" : "ro";
  return [
    mountKernel("/proc", "proc", [...SAFE, ...procOptions]),
    mountKernel("/sys", "sysfs", [...SAFE, access]),
    mountKernel("/sys/fs/cgroup", "cgroup", [...SAFE, cgroupAccess]),
    isPrivileged
      ? // The machine's own nodes, including those of devices that are plugged in later, but not the mounts below.
        { destination: "/dev", type: "bind", source: devPath, options: ["bind", "rprivate", "nosuid", "rw"] }
      : // The runtime adds the nodes that every program expects.
        mountKernel("/dev", "tmpfs", ["nosuid", "noexec", "strictatime", "mode=755", "size=65536k"]),
    mountKernel("/dev/pts", "devpts", DEVPTS_OPTIONS),
  ];
}

function mountKernel(destination: string, type: string, options: string[]): RuntimeMount {
  return { destination, type, source: type, options };
}

function planSharedMemory({
  isPrivileged,
  ipc,
  shmSizeBytes,
  devPath,
  fileSystems,
}: MountOptions): RuntimeMount[] {
  if (ipc === "host") {
    return [planBind({ from: `${devPath}/shm`, to: "/dev/shm", options: [] })];
  }
  const mounts: RuntimeMount[] = [];
  if (ipc === "none" && isPrivileged) {
    // Hides the machine's own.
    const options = [...SAFE, "ro", "size=4k"];
    mounts.push({ destination: "/dev/shm", type: "tmpfs", source: "shm", options });
  }
  if (ipc === "private") {
    // podman's 64 MB are too small for renderers, which share large buffers.
    const size = shmSizeBytes === undefined ? [] : [`size=${shmSizeBytes}`];
    const options = ["nosuid", "nodev", "mode=1777", ...size];
    mounts.push({ destination: "/dev/shm", type: "tmpfs", source: "shm", options });
  }
  if (fileSystems.has("mqueue")) {
    mounts.push(mountKernel("/dev/mqueue", "mqueue", SAFE));
  }
  return mounts;
}

function planScratch({ isReadOnly, runsInit }: MountOptions): RuntimeMount[] {
  const scratch = (to: string, ...options: string[]) => planTmpfs({ to, options });
  if (runsInit) {
    return [
      scratch("/run", "mode=755"),
      scratch("/run/lock", "mode=1777", "noexec"),
      scratch("/tmp", "mode=1777"),
      ...(isReadOnly ? [scratch("/var/tmp", "tmpcopyup")] : []),
    ];
  }
  return isReadOnly ? ["/run", "/tmp", "/var/tmp"].map((to) => scratch(to, "tmpcopyup")) : [];
}

/** Options of podman that have no meaning here: there is one user and no SELinux. */
const PODMAN_OPTION = /^(z|Z|U|O|copy|nocopy|idmap.*|upperdir=.*|workdir=.*)$/;
const PROPAGATION = /^r?(shared|slave|private|unbindable)$/;

function planTmpfs({ to, options }: TmpfsRequest): RuntimeMount {
  // Below /dev the container has the machine's files, which must not be copied up.
  const isOnDevices = isOnMount(to, [{ destination: "/dev" }]);
  const kept = options.filter(
    (option) =>
      !PODMAN_OPTION.test(option) &&
      !/^r?bind$|^notmpcopyup$/.test(option) &&
      !(isOnDevices && option === "tmpcopyup"),
  );
  for (const name of ["suid", "dev"]) {
    if (!kept.includes(name) && !kept.includes(`no${name}`)) kept.push(`no${name}`);
  }
  return { destination: to, type: "tmpfs", source: "tmpfs", options: kept };
}

function planBind({ from, to, options }: BindRequest): RuntimeMount {
  const kept = options.filter(
    (option) => !PODMAN_OPTION.test(option) && !/^(no)?tmpcopyup$|^(size|mode|uid|gid)=/.test(option),
  );
  if (!kept.some((option) => /^r?bind$/.test(option))) kept.unshift("rbind");
  if (!kept.some((option) => PROPAGATION.test(option))) kept.push("rprivate");
  if (!kept.includes("ro") && !kept.includes("rw")) kept.push("rw");
  return { destination: to, type: "bind", source: from, options: kept };
}

/** The propagation that the root needs for those of the mounts; undefined for the runtime's default. */
export function planRootPropagation(mounts: readonly RuntimeMount[]): "shared" | "rslave" | undefined {
  const has = (pattern: RegExp) =>
    mounts.some(({ options }) => options.some((option) => pattern.test(option)));
  if (has(/^r?shared$/)) return "shared";
  return has(/^r?slave$/) ? "rslave" : undefined;
}

function normalize(path: string): string {
  return `/${path
    .split("/")
    .filter((part) => part !== "" && part !== ".")
    .join("/")}`;
}

/** Whether the path is that of a mount or below one, and so need not exist in the root. */
export function isOnMount(path: string, mounts: readonly { destination: string }[]): boolean {
  const prefix = `${normalize(path)}/`;
  return mounts.some(({ destination }) => prefix.startsWith(`${normalize(destination)}/`));
}

function countParts(path: string): number {
  return path.split("/").length - (path === "/" ? 1 : 0);
}
