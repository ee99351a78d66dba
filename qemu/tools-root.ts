/**
 * The programs the host side needs in the versions of Debian trixie, from one unpacked root in the cache, whatever Debian
 * runs here: bookworm's QEMU crashes Linux 6.12. A program runs by chroot in a mount namespace of its own (`enter`).
 */
import { type ChildProcess, type SpawnOptions, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { appendFile, copyFile, mkdir, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { ensureCacheEntry } from "./cache-entry.ts";
import { runMmdebstrap } from "./mmdebstrap.ts";
import { formatShellCommand } from "./qemu-command.ts";
import { type RunOptions, runProcess } from "./run-process.ts";

const RELEASE = "trixie";

/** What a shell expects to find; nothing is essential to an unpacked root. */
export const BASE_PACKAGES = [
  ...["base-files", "base-passwd", "bash", "dash", "coreutils"],
  ...["util-linux", "mount", "sed", "grep", "findutils"],
] as const;

const PACKAGES = [
  // the virtual DUT
  ...["qemu-system-x86", "qemu-utils"],
  // the virtual farm
  ...["docker-registry", "apache2-utils", "openssl"],
  ...["swift-proxy", "swift-account", "swift-container", "swift-object"],
  ...["dnsmasq-base", "chrony", "nfs-ganesha", "nfs-ganesha-vfs", "rpcbind", "iproute2"],
  // images: made, moved, looked into
  ...["skopeo", "podman", "crun", "erofs-utils", "e2fsprogs", "fsverity", "mmdebstrap", "busybox-static"],
  ...["zstd", "xz-utils", "gzip", "tar"],
  ...BASE_PACKAGES,
];

/** Raised when what is done after unpacking changes. */
const RECIPE_VERSION = 3;

export interface ToolOptions extends SpawnOptions {
  /** Host folders or files shown at another place inside: `{ "/etc/swift": "/run/directory/swift" }`. */
  bind?: Readonly<Record<string, string>>;
}

export interface ToolsRoot {
  /** The unpacked root; read only to the programs that run in it. */
  path: string;
  /** The words that run the program inside; the process they become is the program itself. */
  commandWords(command: string, args: readonly string[], options?: Pick<ToolOptions, "bind">): string[];
  /** Starts it as the leader of a process group; it dies with this process. */
  spawn(command: string, args: readonly string[], options?: ToolOptions): ChildProcess;
  /** Runs it to its end and gives what it printed; rejects with its last words unless it exits with 0. */
  run(command: string, args: readonly string[], options?: ToolRunOptions): Promise<string>;
  /** The same tools, started by other words around theirs: in another namespace, say. */
  wrap(around: (words: readonly string[]) => string[]): ToolsRoot;
  /** The same as a line for a shell. */
  describeCommand(command: string, args: readonly string[], options?: Pick<ToolOptions, "bind">): string;
}

export type ToolRunOptions = Omit<RunOptions, "name"> & Pick<ToolOptions, "bind">;

export interface EnsureToolsOptions {
  log: (line: string) => void;
  signal?: AbortSignal;
}

/** Gives the tools root, unpacked now if it is missing (some 30 s and 700 MB). Needs root, apt and mmdebstrap. */
export const ensureToolsRoot = (options: EnsureToolsOptions): Promise<ToolsRoot> =>
  ensureProgramsRoot("tools", PACKAGES, options);

/** A root of its own for programs that few need; `name` is the cache entry's and the log's. `files`: settings to write into it. */
export async function ensureProgramsRoot(
  name: string,
  packages: readonly string[],
  { log, signal, files = {} }: EnsureToolsOptions & { files?: Readonly<Record<string, string>> },
): Promise<ToolsRoot> {
  const startedMs = performance.now();
  const enter = await readFile(join(import.meta.dirname, "enter-tools-root.sh"), "utf8");
  const { path, isNew } = await ensureCacheEntry(
    {
      name,
      // Nothing for no files, so that the tools root stays the same entry.
      recipe: [RELEASE, process.arch, packages, RECIPE_VERSION, enter, ...Object.entries(files)],
      fill: async (folder) => {
        log(`${name} root: unpacking Debian packages (once)`);
        await unpackPackages(join(folder, "root"), packages, signal);
        await settleRoot(join(folder, "root"));
        for (const [file, text] of Object.entries(files)) await writeFile(join(folder, "root", file), text);
        await writeFile(join(folder, "enter"), enter, { mode: 0o755 });
      },
    },
    { signal },
  );
  const root = join(path, "root");
  if (isNew) {
    const count = (await readdir(join(root, "usr/share/doc"))).length;
    log(
      `${name} root: ${count} packages unpacked in ${Math.round((performance.now() - startedMs) / 1000)} s`,
    );
  } else log(`${name} root: reused`);
  return createToolsRoot(path, root);
}

function createToolsRoot(
  path: string,
  root: string,
  around = (words: readonly string[]): string[] => [...words],
): ToolsRoot {
  const commandWords: ToolsRoot["commandWords"] = (command, args, { bind = {} } = {}) =>
    around([
      join(path, "enter"),
      ...Object.entries(bind).flatMap(([inside, host]) => ["--bind", host, inside]),
      ...["--", command, ...args],
    ]);
  return {
    path: root,
    commandWords,
    spawn: (command, args, { bind, ...options } = {}) => {
      const words = commandWords(command, args, { bind });
      return spawn("setpriv", ["--pdeathsig", "KILL", "--", ...words], { ...options, detached: true });
    },
    run: (command, args, { bind, ...options } = {}) =>
      runProcess(commandWords(command, args, { bind }), { name: command, ...options }),
    wrap: (outer) => createToolsRoot(path, root, (words) => outer(around(words))),
    describeCommand: (command, args, options) => formatShellCommand(commandWords(command, args, options)),
  };
}

/** Unpacks without running a maintainer script: nothing here is configured, every server gets its settings from us. */
async function unpackPackages(
  root: string,
  packages: readonly string[],
  signal?: AbortSignal,
): Promise<void> {
  await runMmdebstrap({
    release: RELEASE,
    options: ["--variant=extract", `--include=${packages.join(",")}`],
    target: root,
    signal,
  });
}

/** Does by hand the few things that maintainer scripts would have done and our programs need. */
async function settleRoot(root: string): Promise<void> {
  await copyFile(join(root, "usr/share/base-passwd/passwd.master"), join(root, "etc/passwd"));
  await copyFile(join(root, "usr/share/base-passwd/group.master"), join(root, "etc/group"));
  await writeFile(
    join(root, "etc/nsswitch.conf"),
    "passwd: files\ngroup: files\nhosts: files dns\nservices: files\n",
  );
  await appendFile(join(root, "etc/passwd"), "_rpc:x:100:65534::/run/rpcbind:/usr/sbin/nologin\n");
  await symlink("../proc/self/mounts", join(root, "etc/mtab"));
  await rm(join(root, "var/run"), { recursive: true, force: true });
  await symlink("../run", join(root, "var/run"));
  // Places for what `enter` binds.
  for (const file of ["etc/resolv.conf", "etc/hosts"]) await appendFile(join(root, file), "");
  for (const folder of ["etc/swift", "etc/ssl/certs", "var/tmp", "run", "tmp"]) {
    await mkdir(join(root, folder), { recursive: true });
  }
  // Python finds its byte code instead of compiling Swift anew at each start; files that do not compile are not used.
  const modules = join("/", "usr/lib/python3");
  if (existsSync(join(root, modules))) {
    const settle = `ldconfig; python3 -m compileall -q -j 0 ${modules} >/dev/null 2>&1 || true`;
    await runProcess(["chroot", root, "sh", "-c", settle]);
  }
}
