/**
 * A place to run containers in: a small root of busybox, trixie's crun, and a process that stands for the agent.
 */
import { spawn } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { ContainerExit } from "../../../agent/sys/container/container.ts";
import { ensureToolsRoot } from "../../../qemu/tools-root.ts";
import type { ContainerRequest } from "./container-child.ts";

const LOADER = { x64: "lib64/ld-linux-x86-64.so.2", arm64: "lib/ld-linux-aarch64.so.1" };
const TRIPLET = { x64: "x86_64-linux-gnu", arm64: "aarch64-linux-gnu" };
const APPLETS = (
  "sh id env cat sleep kill setsid readlink ls pwd mount touch head tty stty hostname ip date mkdir nproc seq init " +
  "poweroff reboot halt grep stat wc ps true basename"
).split(" ");

export interface ContainerResult {
  output: string;
  logs: string[];
  exit?: ContainerExit;
  /** Code of an AgentError, or another error's name. */
  error?: string;
  message?: string;
  tookMs: number;
}

type Request = ContainerRequest["step"];

/** A string is run by the root's shell; nothing: what the image says. */
export type RunContainer = (
  command: string | string[] | undefined,
  wishes?: Partial<Omit<Request, "step">> & {
    step?: Partial<Request["step"]>;
    settings?: Request["step"]["container"];
    options?: Partial<ContainerRequest["options"]>;
    abortAfterMs?: number;
    user?: string;
    workingDir?: string;
    /** Called with all output so far. */
    onOutput?: (output: string) => void;
  },
) => Promise<ContainerResult>;

export interface ContainerHost {
  directory: string;
  rootPath: string;
  resultsPath: string;
  /** Unpacked Debian, for programs that are wanted in a container. */
  toolsPath: string;
  run: RunContainer;
  remove(): void;
}

export async function prepareContainerHost(): Promise<ContainerHost> {
  const { path: toolsPath } = await ensureToolsRoot({ log: () => {} });
  const directory = mkdtempSync(join(tmpdir(), "dutboot-container-"));
  const rootPath = join(directory, "root");
  const resultsPath = join(directory, "results");
  mkdirSync(resultsPath);
  makeRoot(rootPath, toolsPath);
  // The host's own C library may be too old for trixie's crun.
  const runtime = join(directory, "crun");
  const architecture = process.arch as keyof typeof LOADER;
  const words = `${toolsPath}/${LOADER[architecture]} --library-path ${toolsPath}/usr/lib/${TRIPLET[architecture]}`;
  writeFileSync(runtime, `#!/bin/sh\nexec ${words} ${toolsPath}/usr/bin/crun "$@"\n`, { mode: 0o755 });

  let count = 0;
  const run: RunContainer = (command, wishes = {}) => {
    const {
      abortAfterMs,
      user = "",
      workingDir = "",
      step,
      settings,
      options,
      onOutput = () => {},
      ...others
    } = wishes;
    const argv = typeof command === "string" ? ["/bin/sh", "-c", command] : command;
    const request: ContainerRequest = {
      step: {
        id: `dutboot-test-${process.pid}-${count++}`,
        config: {
          env: ["WHO=image", "IMAGE=1"],
          entrypoint: ["/bin/sh"],
          cmd: ["-c", "echo from the image"],
          workingDir,
          user,
        },
        rootPath,
        resultsPath,
        step: {
          env: ["WHO=job"],
          ...(argv && { entrypoint: [], argv }),
          container: settings,
          ...step,
        },
        extraEnv: [],
        mounts: [],
        tmpfs: [],
        ...others,
      },
      options: { bundleDir: join(directory, "bundles"), runtime, graceMs: 300, drainMs: 500, ...options },
      abortAfterMs,
    };
    return runChild(request, onOutput);
  };
  const remove = () => rmSync(directory, { recursive: true, force: true });
  return { directory, rootPath, resultsPath, toolsPath, run, remove };
}

function makeRoot(rootPath: string, toolsPath: string): void {
  for (const name of ["bin", "etc", "tmp", "usr/share/zoneinfo/Test", "data"]) {
    mkdirSync(join(rootPath, name), { recursive: true });
  }
  copyFileSync(join(toolsPath, "usr/bin/busybox"), join(rootPath, "bin/busybox"));
  for (const applet of APPLETS) symlinkSync("busybox", join(rootPath, "bin", applet));
  writeFileSync(
    join(rootPath, "etc/passwd"),
    "root:x:0:0::/root:/bin/sh\ntester:x:1000:1001::/home/tester:/bin/sh\n",
  );
  writeFileSync(join(rootPath, "etc/group"), "video:x:44:tester\nrender:x:105:\n");
  writeFileSync(join(rootPath, "bin/other-machine"), "\x7fELF nothing that runs", { mode: 0o755 });
  writeFileSync(join(rootPath, "usr/share/zoneinfo/Test/Zone"), "TZif of the image");
  writeFileSync(join(rootPath, "data/from-image"), "image");
}

async function runChild(
  request: ContainerRequest,
  onOutput: (output: string) => void,
): Promise<ContainerResult> {
  const child = join(import.meta.dirname, "container-child.ts");
  const enter = ["--mount", "sh", "-c", 'mount -t cgroup2 none /sys/fs/cgroup && exec "$@"', "sh"];
  const startedAt = performance.now();
  const agent = spawn("unshare", [...enter, process.execPath, child, JSON.stringify(request)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const result: ContainerResult = { output: "", logs: [], tookMs: 0 };
  for await (const line of createInterface({ input: agent.stdout })) {
    const record = JSON.parse(line);
    if (record.output !== undefined) {
      result.output += Buffer.from(record.output, "base64").toString();
      onOutput(result.output);
    } else if (record.log !== undefined) result.logs.push(record.log);
    else Object.assign(result, record);
  }
  result.tookMs = performance.now() - startedAt;
  return result;
}
