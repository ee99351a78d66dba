/**
 * netconsole: the kernel's own messages by UDP, sent by the kernel itself up to its last one (Documentation/networking/netconsole).
 * Its target is made through configfs once the network is up; it needs the addresses of both ends, also the hardware's.
 */
import { createSocket } from "node:dgram";
import { lookup } from "node:dns/promises";
import { mkdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { mount } from "../../kernel/mount.ts";
import { NETCONSOLE_ANSWER_MS, NETWORK_POLL_MS } from "../limits.ts";
import { runTool } from "../run-tool.ts";
import type { SysLog } from "../sys-log.ts";

export interface NetconsoleOptions {
  log: SysLog;
  loadModule: (name: string) => Promise<unknown>;
  configfs?: string;
}

const TARGET = "dutboot";
/** Of the sender; the kernel's own default. */
const LOCAL_PORT = 6665;

/** Never throws: without it the job lacks a kernel's last words, and that is told. */
export async function startNetconsole(
  { host, port }: { host: string; port: number },
  { log, loadModule, configfs = "/sys/kernel/config" }: NetconsoleOptions,
): Promise<void> {
  const place = `${host}:${port}`;
  try {
    await loadModule("configfs");
    await loadModule("netconsole");
    mountConfigfs(configfs);
    const { address } = await lookup(host, { family: 4 });
    const route = parseRoute(await runTool(["ip", "-4", "route", "get", address]));
    if (!route) throw new Error(`there is no way to ${address}`);
    const mac = await findHardwareAddress(route.gateway ?? address, route.device);
    const target = join(configfs, "netconsole", TARGET);
    mkdirSync(target);
    try {
      const fields = {
        dev_name: route.device,
        local_ip: route.source,
        local_port: LOCAL_PORT,
        remote_ip: address,
        remote_port: port,
        remote_mac: mac,
        enabled: 1,
      };
      for (const [name, value] of Object.entries(fields)) writeFileSync(join(target, name), `${value}`);
    } catch (error) {
      rmdirSync(target);
      throw error;
    }
    log.info(`netconsole: the kernel's messages go to ${place} from ${route.device}`);
  } catch (error) {
    log.warn(`netconsole: the kernel's messages do not go to ${place}: ${(error as Error).message}`);
  }
}

function mountConfigfs(path: string): void {
  if (readFileSync("/proc/mounts", "utf8").includes(` ${path} configfs `)) return;
  mount({ source: "configfs", target: path, type: "configfs" });
}

export interface RouteToHost {
  device: string;
  /** Our own address on it. */
  source: string;
  /** Absent where the host is a neighbour. */
  gateway?: string;
}

/** Of `ip route get`: `10.0.0.9 via 10.0.0.1 dev eth0 src 10.0.0.7 …` */
export function parseRoute(text: string): RouteToHost | undefined {
  const word = (name: string) => new RegExp(`\\s${name}\\s+(\\S+)`).exec(text)?.[1];
  const [device, source, gateway] = [word("dev"), word("src"), word("via")];
  if (device === undefined || source === undefined || device === "lo") return undefined;
  return { device, source, gateway };
}

/** Of a neighbour: anything sent to it has the kernel ask. */
async function findHardwareAddress(address: string, device: string): Promise<string> {
  const deadline = performance.now() + NETCONSOLE_ANSWER_MS;
  const socket = createSocket("udp4").unref();
  socket.on("error", () => {}); // a refusal is an answer, too
  try {
    while (performance.now() < deadline) {
      // The discard protocol's port: nobody answers, and nobody minds.
      socket.send(Buffer.alloc(1), 9, address);
      await sleep(NETWORK_POLL_MS);
      const found = findNeighbour(readFileSync("/proc/net/arp", "utf8"), address, device);
      if (found) return found;
    }
  } finally {
    socket.close();
  }
  throw new Error(`"${address}" does not say its hardware address`);
}

/** In /proc/net/arp: `IP address  HW type  Flags  HW address  Mask  Device`; a complete entry has flag 2. */
export function findNeighbour(table: string, address: string, device: string): string | undefined {
  for (const row of table.split("\n")) {
    const [ip, , flags, mac, , name] = row.trim().split(/\s+/);
    if (ip === address && name === device && (Number(flags) & 2) !== 0) return mac;
  }
  return undefined;
}
