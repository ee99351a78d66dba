/**
 * The mounts of a container, in the order they are made: the kernel's file systems, the machine's devices, tmpfs, binds.
 * OCI runtime-spec 1.0, config.md; defaults and options as podman has them.
 */
export interface RuntimeMount {
  destination: string;
  type: string;
  source: string;
  options: string[];
}

/** A file or directory of the DUT shown in the container, with podman's mount options. */
export interface BindRequest {
  from: string;
  to: string;
  options: string[];
}

export interface TmpfsRequest {
  to: string;
  options: string[];
}

export interface MountWishes {
  isPrivileged: boolean;
  isReadOnly: boolean;
  /** An init: it needs /run, /run/lock and /tmp as mounts and a cgroup tree that it may write (systemd.io/CONTAINER_INTERFACE). */
  runsInit: boolean;
  ipc: "host" | "private" | "none";
  /** Absent: half of the memory, the kernel's default. */
  shmSizeBytes?: number;
  procOptions: readonly string[];
  /** Where the DUT's own device nodes are. */
  devPath: string;
  binds: readonly BindRequest[];
  tmpfs: readonly TmpfsRequest[];
  /** The kernel's file systems (/proc/filesystems), for the mounts that not every kernel has. */
  fileSystems: ReadonlySet<string>;
}

/** Of two mounts on one place the job's wins; what is below another comes after it. */
export function planMounts(wishes: MountWishes): RuntimeMount[] {
  const mounts = [
    ...planKernelMounts(wishes),
    ...planSharedMemory(wishes),
    ...planScratch(wishes),
    ...wishes.tmpfs.map(planTmpfs),
    ...wishes.binds.map(planBind),
  ];
  const byPlace = new Map<string, RuntimeMount>();
  for (const mount of mounts) byPlace.set(normalize(mount.destination), mount);
  return [...byPlace].sort(([a], [b]) => countParts(a) - countParts(b)).map(([, mount]) => mount);
}

const SAFE = ["nosuid", "noexec", "nodev"];

function planKernelMounts({ isPrivileged, runsInit, procOptions, devPath }: MountWishes): RuntimeMount[] {
  const access = isPrivileged ? "rw" : "ro";
  const cgroupAccess = isPrivileged || runsInit ? "rw" : "ro";
  return [
    { destination: "/proc", type: "proc", source: "proc", options: [...SAFE, ...procOptions] },
    { destination: "/sys", type: "sysfs", source: "sysfs", options: [...SAFE, access] },
    { destination: "/sys/fs/cgroup", type: "cgroup", source: "cgroup", options: [...SAFE, cgroupAccess] },
    isPrivileged
      ? // The machine's own nodes, GPUs and what is plugged in later included; what is mounted below them stays outside.
        { destination: "/dev", type: "bind", source: devPath, options: ["bind", "rprivate", "nosuid", "rw"] }
      : // The runtime puts the nodes that every program expects into it.
        {
          destination: "/dev",
          type: "tmpfs",
          source: "tmpfs",
          options: ["nosuid", "noexec", "strictatime", "mode=755", "size=65536k"],
        },
    {
      destination: "/dev/pts",
      type: "devpts",
      source: "devpts",
      options: ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
    },
  ];
}

function planSharedMemory({
  isPrivileged,
  ipc,
  shmSizeBytes,
  devPath,
  fileSystems,
}: MountWishes): RuntimeMount[] {
  if (ipc === "host") {
    return [planBind({ from: `${devPath}/shm`, to: "/dev/shm", options: [] })];
  }
  const mounts: RuntimeMount[] = [];
  if (ipc === "none" && isPrivileged) {
    // Or the machine's own would be seen.
    mounts.push({
      destination: "/dev/shm",
      type: "tmpfs",
      source: "shm",
      options: [...SAFE, "ro", "size=4k"],
    });
  }
  if (ipc === "private") {
    // podman's 64 MB are too few for renderers, which share large buffers.
    const size = shmSizeBytes === undefined ? [] : [`size=${shmSizeBytes}`];
    const options = ["nosuid", "nodev", "mode=1777", ...size];
    mounts.push({ destination: "/dev/shm", type: "tmpfs", source: "shm", options });
  }
  if (fileSystems.has("mqueue")) {
    mounts.push({ destination: "/dev/mqueue", type: "mqueue", source: "mqueue", options: SAFE });
  }
  return mounts;
}

function planScratch({ isReadOnly, runsInit }: MountWishes): RuntimeMount[] {
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

/** Words of podman's that mean nothing to the kernel here: there is one user and no SELinux. */
const FOR_PODMAN = /^(z|Z|U|O|copy|nocopy|idmap.*|upperdir=.*|workdir=.*)$/;
const PROPAGATION = /^r?(shared|slave|private|unbindable)$/;

function planTmpfs({ to, options }: TmpfsRequest): RuntimeMount {
  // What the machine has below /dev is not the image's, and not to be copied up.
  const isOnDevices = isOnMount(to, [{ destination: "/dev" }]);
  const words = options.filter(
    (option) =>
      !FOR_PODMAN.test(option) &&
      !/^r?bind$|^notmpcopyup$/.test(option) &&
      !(isOnDevices && option === "tmpcopyup"),
  );
  for (const [word, opposite] of [
    ["nosuid", "suid"],
    ["nodev", "dev"],
  ] as const) {
    if (!words.includes(word) && !words.includes(opposite)) words.push(word);
  }
  return { destination: to, type: "tmpfs", source: "tmpfs", options: words };
}

function planBind({ from, to, options }: BindRequest): RuntimeMount {
  const words = options.filter(
    (option) => !FOR_PODMAN.test(option) && !/^(no)?tmpcopyup$|^(size|mode|uid|gid)=/.test(option),
  );
  if (!words.some((word) => /^r?bind$/.test(word))) words.unshift("rbind");
  if (!words.some((word) => PROPAGATION.test(word))) words.push("rprivate");
  if (!words.includes("ro") && !words.includes("rw")) words.push("rw");
  return { destination: to, type: "bind", source: from, options: words };
}

/** What the root itself must be for mounts to pass in or out of the container; nothing: what the runtime takes. */
export function planRootPropagation(mounts: readonly RuntimeMount[]): "shared" | "rslave" | undefined {
  const has = (pattern: RegExp) => mounts.some(({ options }) => options.some((word) => pattern.test(word)));
  if (has(/^r?shared$/)) return "shared";
  return has(/^r?slave$/) ? "rslave" : undefined;
}

function normalize(path: string): string {
  return `/${path
    .split("/")
    .filter((part) => part !== "" && part !== ".")
    .join("/")}`;
}

/** Where a mount is, or below one: such a place need not be in the root. */
export function isOnMount(path: string, mounts: readonly { destination: string }[]): boolean {
  const place = `${normalize(path)}/`;
  return mounts.some(({ destination }) => place.startsWith(`${normalize(destination)}/`));
}

function countParts(path: string): number {
  return path.split("/").length - (path === "/" ? 1 : 0);
}
