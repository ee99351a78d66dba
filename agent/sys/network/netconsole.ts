/**
 * netconsole: the kernel sends its own messages by UDP, until its last one (Documentation/networking/netconsole). We create the target
 * in configfs when the network is up. It needs the addresses of both ends and the MAC address of the next hop.
 */
import { lookup } from "node:dns/promises";
import { mkdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { mount } from "../../kernel/mount.ts";
import { NETCONSOLE_ANSWER_MS } from "../limits.ts";
import { runTool } from "../run-tool.ts";
import type { SysLog } from "../sys-log.ts";

export interface NetconsoleOptions {
  log: SysLog;
  loadModule: (name: string) => Promise<unknown>;
  configfs?: string;
}

const TARGET = "dutboot";
/** The kernel's default source port. */
const LOCAL_PORT = 6665;

/** Failures are logged and the job continues without netconsole. */
export async function startNetconsole(
  { host, port }: { host: string; port: number },
  { log, loadModule, configfs = "/sys/kernel/config" }: NetconsoleOptions,
): Promise<void> {
  const destination = `${host}:${port}`;
  try {
    await loadModule("configfs");
    await loadModule("netconsole");
    mountConfigfs(configfs);
    const { address } = await lookup(host, { family: 4 });
    const route = parseRoute(await runTool(["ip", "-4", "route", "get", address]));
    if (!route) throw new Error(`there is no route to ${address}`);
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
    log.info(`netconsole: the kernel's messages go to ${destination} from ${route.device}`);
  } catch (error) {
    log.warn(`netconsole: cannot send the kernel's messages to ${destination}: ${(error as Error).message}`);
  }
}

function mountConfigfs(path: string): void {
  if (readFileSync("/proc/mounts", "utf8").includes(` ${path} configfs `)) return;
  mount({ source: "configfs", target: path, type: "configfs" });
}

export interface RouteToHost {
  device: string;
  /** Our address on it. */
  source: string;
  /** Absent where the host is on the same link. */
  gateway?: string;
}

/** Of `ip route get`: `10.0.0.9 via 10.0.0.1 dev eth0 src 10.0.0.7 …` */
export function parseRoute(text: string): RouteToHost | undefined {
  const field = (name: string) => new RegExp(`\\s${name}\\s+(\\S+)`).exec(text)?.[1];
  const [device, source, gateway] = [field("dev"), field("src"), field("via")];
  if (device === undefined || source === undefined || device === "lo") return undefined;
  return { device, source, gateway };
}

async function findHardwareAddress(address: string, device: string): Promise<string> {
  const seconds = String(NETCONSOLE_ANSWER_MS / 1000);
  const answer = await runTool(["arping", "-f", "-w", seconds, "-I", device, address]).catch(() => "");
  const mac = parseArpAnswer(answer);
  if (mac === undefined) throw new Error(`no answer to ARP for "${address}"`);
  return mac;
}

/** From arping: `Unicast reply from 10.0.2.2 [52:55:0a:00:02:02] 0.123ms` */
export function parseArpAnswer(text: string): string | undefined {
  return /cast reply from \S+ \[((?:[0-9a-f]{2}:){5}[0-9a-f]{2})\]/i.exec(text)?.[1];
}
