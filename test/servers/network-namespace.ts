/**
 * Two network namespaces with a cable between them: "farm" for real servers, "dut" for the code under test.
 * A sleeping process holds each of them open; `close` removes everything.
 */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { readlinkSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { ensureToolsRoot, type ToolsRoot } from "../../qemu/tools-root.ts";

export interface Namespace {
  /** Arguments before a command that run it in this namespace. */
  enter: string[];
  /** Runs busybox's `ip` in this namespace. */
  ip(words: string): void;
  /** Starts a program of the tools root in this namespace. */
  startTool(program: string, words: string[]): ChildProcess;
}

export interface NamespacePair {
  farm: Namespace;
  dut: Namespace;
  tools: ToolsRoot;
  busybox: string;
  /** Creates a cable: one end in the farm, the other in the DUT, both down. */
  addCable(farmEnd: string, dutEnd: string): void;
  close(): Promise<void>;
}

export async function createNamespacePair(): Promise<NamespacePair> {
  const tools = await ensureToolsRoot({ log: () => {} });
  const busybox = join(tools.path, "usr/bin/busybox");
  const children: ChildProcess[] = [];
  const create = async (): Promise<Namespace & { pid: number }> => {
    const holder = spawn("unshare", ["--net", "sleep", "1000"], { stdio: "ignore" });
    children.push(holder);
    const pid = holder.pid!;
    const outside = readlinkSync("/proc/self/ns/net");
    while (readlinkSync(`/proc/${pid}/ns/net`) === outside) await sleep(5);
    const enter = ["nsenter", `--net=/proc/${pid}/ns/net`];
    return {
      pid,
      enter,
      ip: (words) => {
        run([...enter, busybox, "ip", ...words.split(" ")]);
      },
      startTool: (program, words) => {
        const [command, ...rest] = [...enter, ...tools.commandWords(program, words)];
        const child = spawn(command!, rest, { stdio: ["ignore", "pipe", "inherit"] });
        children.push(child);
        return child;
      },
    };
  };
  const farm = await create();
  const dut = await create();
  return {
    farm,
    dut,
    tools,
    busybox,
    addCable(farmEnd, dutEnd) {
      // Busybox names only one end; the kernel names the other one veth0.
      farm.ip(`link add dev ${farmEnd} type veth`);
      farm.ip(`link set veth0 name ${dutEnd}`);
      farm.ip(`link set ${dutEnd} netns ${dut.pid}`);
    },
    async close() {
      for (const child of children) {
        if (child.exitCode !== null || child.signalCode !== null) continue;
        child.kill("SIGKILL");
        await once(child, "exit");
      }
    },
  };
}

function run([command, ...words]: string[]): void {
  execFileSync(command!, words, { stdio: ["ignore", "ignore", "pipe"] });
}
