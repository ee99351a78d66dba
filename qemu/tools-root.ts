/**
 * The programs of the host side, in Debian trixie's versions, from an unpacked root in the cache. They do not depend on the
 * host's Debian: bookworm's QEMU crashes Linux 6.12. Programs run in a chroot in their own mount namespace (`enter`).
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

/** What a shell needs: an unpacked root has no essential packages. */
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
  // images: build, copy, inspect
  ...["skopeo", "podman", "crun", "erofs-utils", "e2fsprogs", "fsverity", "mmdebstrap", "busybox-static"],
  ...["zstd", "xz-utils", "gzip", "tar"],
  ...BASE_PACKAGES,
];

/** Increase when the steps after unpacking change. */
const RECIPE_VERSION = 3;

export interface ToolOptions extends SpawnOptions {
  /** Host paths to bind, by their path inside: `{ "/etc/swift": "/run/directory/swift" }`. */
  bind?: Readonly<Record<string, string>>;
}

export interface ToolsRoot {
  /** The unpacked root; read-only for the programs in it. */
  path: string;
  /** The arguments that run a program inside. Every step execs, so the process becomes the program. */
  commandWords(command: string, args: readonly string[], options?: Pick<ToolOptions, "bind">): string[];
  /** Starts a program as the leader of a process group; it is killed when this process dies. */
  spawn(command: string, args: readonly string[], options?: ToolOptions): ChildProcess;
  /** Runs a program and returns its output; rejects with the last lines of stderr unless it exits with 0. */
  run(command: string, args: readonly string[], options?: ToolRunOptions): Promise<string>;
  /** The same tools with other arguments in front, for example to enter a namespace. */
  wrap(around: (words: readonly string[]) => string[]): ToolsRoot;
  /** The same as `commandWords`, as a shell command. */
  describeCommand(command: string, args: readonly string[], options?: Pick<ToolOptions, "bind">): string;
}

export type ToolRunOptions = Omit<RunOptions, "name"> & Pick<ToolOptions, "bind">;

export interface EnsureToolsOptions {
  log: (line: string) => void;
  signal?: AbortSignal;
}

/** Returns the tools root and unpacks it if it is missing (about 30 s, 700 MB). Needs root, apt and mmdebstrap. */
export const ensureToolsRoot = (options: EnsureToolsOptions): Promise<ToolsRoot> =>
  ensureProgramsRoot("tools", PACKAGES, options);

/** A separate root for some programs. `name`: for the cache entry and the log. `files`: settings to write into it. */
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
      // Without files the recipe adds nothing, so that the tools root keeps its entry.
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

/** Unpacks without maintainer scripts: nothing is configured, and every server gets its settings from us. */
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

/** Replaces the maintainer scripts as far as our programs need them. */
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
  // Mount points for `enter`.
  for (const file of ["etc/resolv.conf", "etc/hosts"]) await appendFile(join(root, file), "");
  for (const folder of ["etc/swift", "etc/ssl/certs", "var/tmp", "run", "tmp"]) {
    await mkdir(join(root, folder), { recursive: true });
  }
  // With byte code Python does not compile Swift at each start. Files that do not compile are not used.
  const modules = join("/", "usr/lib/python3");
  if (existsSync(join(root, modules))) {
    const settle = `ldconfig; python3 -m compileall -q -j 0 ${modules} >/dev/null 2>&1 || true`;
    await runProcess(["chroot", root, "sh", "-c", settle]);
  }
}
