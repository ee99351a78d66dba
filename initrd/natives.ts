/**
 * Compiles the two native modules, zstd-napi and sys.node (system calls), for the host and by cross compiler for the DUT.
 * Both are cached by the hash of their sources and tools, and contain no path of the build machine.
 */
import { readdirSync, readFileSync } from "node:fs";
import { copyFile, cp, mkdir, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { type Architecture, hostArchitecture, toolFor } from "./architecture.ts";
import { type CachedFolder, fillCached, hashOf } from "./build-cache.ts";
import { fetchNodePackage } from "./node-runtime.ts";
import { NODE_MODULES, PROJECT_ROOT, readPin } from "./project.ts";
import { runCommand } from "./run-command.ts";

/** arm64 tools align segments to 64 KiB by default, which would be most of a small file. */
const LINK_FLAGS = ["-s", "-Wl,--build-id=none", "-Wl,-z,max-page-size=4096"];
const SYSCALL_FLAGS = [
  "-std=gnu11",
  "-O2",
  "-Wall",
  "-Wextra",
  "-shared",
  "-fPIC",
  "-pthread",
  "-fvisibility=hidden",
];
const ZSTD_JOBS = "2";
/** Bump when a recipe below changes. */
const RECIPE = 1;

export interface NativeModule extends CachedFolder {
  name: string;
  /** The compiled .node file. */
  file: string;
}

/** Compiles the agent's native modules, except serialport, which is prebuilt. */
export async function compileNatives(
  target: Architecture,
): Promise<{ sys: NativeModule; zstd: NativeModule }> {
  const sys = await compileSyscall(target);
  const zstd = await compileZstd(target);
  return { sys, zstd };
}

async function compileSyscall(target: Architecture): Promise<NativeModule> {
  const folder = join(PROJECT_ROOT, "agent/kernel/native");
  const names = readdirSync(folder)
    .filter((name) => /\.[ch]$/.test(name))
    .sort();
  const sources = names.filter((name) => name.endsWith(".c")).map((name) => join(folder, name));
  const compiler = toolFor(target, "gcc");
  const key = {
    ...(await describeToolchain(target)),
    source: hashOf(Buffer.concat(names.map((name) => readFileSync(join(folder, name))))),
    flags: [...SYSCALL_FLAGS, ...LINK_FLAGS],
  };
  const cached = await fillCached({ kind: "sys-node", key }, async (cache) => {
    const headers = join(await fetchNodePackage(target), "include/node");
    const flags = [...SYSCALL_FLAGS, ...LINK_FLAGS, `-ffile-prefix-map=${folder}=.`];
    await runCommand(compiler, [...flags, "-I", headers, "-o", join(cache, "sys.node"), ...sources]);
  });
  return { ...cached, name: "sys.node", file: join(cached.path, "sys.node") };
}

async function compileZstd(target: Architecture): Promise<NativeModule> {
  const key = { ...(await describeToolchain(target)), pin: readPin("zstd-napi") };
  const cached = await fillCached({ kind: "zstd-napi", key }, async (folder) => {
    // gyp builds next to the sources, so build in a copy of npm's folder.
    const copy = join(folder, "source");
    await cp(join(NODE_MODULES, "zstd-napi"), copy, { recursive: true });
    await rm(join(copy, "build"), { recursive: true, force: true });
    const map = `-ffile-prefix-map=${copy}=.`;
    await runCommand(
      process.execPath,
      [
        join(NODE_MODULES, "node-gyp/bin/node-gyp.js"),
        ...["rebuild", "--release", `--arch=${target.node}`, "--jobs", ZSTD_JOBS],
        `--nodedir=${await fetchNodePackage(target)}`,
      ],
      {
        cwd: copy,
        env: {
          ...withoutNpmSettings(),
          CC: toolFor(target, "gcc"),
          CXX: toolFor(target, "g++"),
          AR: toolFor(target, "ar"),
          LINK: toolFor(target, "g++"),
          CFLAGS: map,
          CXXFLAGS: map,
          LDFLAGS: LINK_FLAGS.join(" "),
        },
      },
    );
    await rename(join(copy, "build/Release/binding.node"), join(folder, "binding.node"));
    await rm(copy, { recursive: true });
  });
  return { ...cached, name: "zstd-napi", file: join(cached.path, "binding.node") };
}

/** `npm start` puts the user's npm settings (such as nodedir) into the environment, where node-gyp prefers them to its options. */
function withoutNpmSettings(): Record<string, undefined> {
  const names = Object.keys(process.env).filter((name) => /^npm_config_/i.test(name));
  return Object.fromEntries(names.map((name) => [name, undefined]));
}

async function describeToolchain(target: Architecture) {
  const compiler = (await runCommand(toolFor(target, "g++"), ["--version"])).split("\n")[0];
  return { compiler, node: readPin(target.nodePackage).version, target: target.name, recipe: RECIPE };
}

/** Installs the host's native modules into the source tree and node_modules. */
export async function installHostNatives(): Promise<NativeModule[]> {
  const { sys, zstd } = await compileNatives(hostArchitecture());
  await replaceFile(sys.file, join(PROJECT_ROOT, "agent/kernel/sys.node"));
  await replaceFile(zstd.file, join(NODE_MODULES, "zstd-napi/build/Release/binding.node"));
  return [sys, zstd];
}

/** Replaces a file by rename, so that a process that has mapped the old file keeps it. */
async function replaceFile(from: string, to: string): Promise<void> {
  await mkdir(dirname(to), { recursive: true });
  const draft = `${to}.${process.pid}`;
  await copyFile(from, draft);
  await rename(draft, to);
}
