/**
 * Sets up the network interfaces that a job lists: addresses, routes, a gateway, name servers, or DHCP on that interface.
 * As in boot2container's b2c.iface, DHCP runs first and the listed settings are added to its result.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { AgentError } from "../../errors.ts";
import type { InterfaceSettings } from "../../job/machine-settings.ts";
import { NETWORK_POLL_MS, NETWORK_RESCAN_MS, NETWORK_WAIT_MS } from "../limits.ts";
import { runTool } from "../run-tool.ts";
import { pollUntil } from "../waits.ts";
import { hasCarrier, isInterface } from "./interfaces.ts";
import { formatResolvConf } from "./lease.ts";
import { bringUpNetwork, type InterfaceState, type NetworkOptions, type NetworkState } from "./network.ts";

export interface StaticNetworkOptions extends Omit<NetworkOptions, "ip"> {
  /** Set to 1 by an interface that forwards packets. */
  forwardPath?: string;
}

/** Throws NETWORK_… or the signal's reason. */
export async function setUpInterfaces(
  settings: readonly InterfaceSettings[],
  options: StaticNetworkOptions,
): Promise<NetworkState> {
  const { busybox = "busybox", resolvConfPath = "/etc/resolv.conf" } = options;
  await runTool([busybox, "ip", "link", "set", "lo", "up"]);
  const states: NetworkState[] = [];
  const stop = () => {
    for (const state of states) state.stop();
  };
  try {
    for (const setting of settings) states.push(await setUpInterface(setting, options));
    await waitForLink(settings, options);
  } catch (error) {
    stop();
    throw error;
  }
  const unite = (pick: (state: NetworkState) => readonly string[]) => [...new Set(states.flatMap(pick))];
  const together = {
    interfaces: states.flatMap(({ interfaces }) => interfaces),
    // The job's come before those of DHCP.
    nameservers: [
      ...new Set([
        ...settings.flatMap(({ nameservers }) => nameservers),
        ...unite(({ nameservers }) => nameservers),
      ]),
    ],
    ntpServers: unite(({ ntpServers }) => ntpServers),
    searchDomains: unite(({ searchDomains }) => searchDomains),
  };
  writeFileSync(resolvConfPath, formatResolvConf(together.nameservers, together.searchDomains));
  return { ...together, stop };
}

async function setUpInterface(
  setting: InterfaceSettings,
  options: StaticNetworkOptions,
): Promise<NetworkState> {
  const { name } = setting;
  const { log, busybox = "busybox", stateDir = "/run/dutboot/network" } = options;
  await waitForInterface(name, options);
  const ip = async (...args: string[]) => {
    try {
      await runTool([busybox, "ip", ...args]);
    } catch (cause) {
      throw new AgentError("NETWORK_FAILED", `Cannot set up ${name}: ${(cause as Error).message}`, { cause });
    }
  };
  await ip("link", "set", name, "up");
  const leased = setting.asksDhcp
    ? await bringUpNetwork({
        ...options,
        stateDir,
        ip: `:::::${name}:dhcp`,
        // The common file is written when all interfaces are up.
        resolvConfPath: join(stateDir, `${name}.resolv.conf`),
      })
    : { interfaces: [], nameservers: [], ntpServers: [], searchDomains: [], stop: () => {} };
  for (const address of setting.addresses) {
    await ip("addr", "replace", address, ...(isIpv6(address) ? [] : ["broadcast", "+"]), "dev", name);
  }
  if (setting.forwards) writeFileSync(options.forwardPath ?? "/proc/sys/net/ipv4/ip_forward", "1\n");
  const { gateway } = setting;
  const routes = [...(gateway === undefined ? [] : [{ to: "default", via: gateway }]), ...setting.routes];
  for (const { to, via } of routes) {
    await ip(...(isIpv6(via) ? ["-6"] : []), "route", "replace", to, "via", via, "dev", name);
  }
  const applied = [
    ...setting.addresses,
    ...routes.map(({ to, via }) => `${to} via ${via}`),
    ...(setting.forwards ? ["forwards packets"] : []),
  ];
  if (applied.length > 0) log.info(`network: ${name}: ${applied.join(", ")}`);
  return {
    ...leased,
    interfaces: [...leased.interfaces, ...setting.addresses.map((text) => describe(name, text))],
  };
}

async function waitForInterface(name: string, options: StaticNetworkOptions): Promise<void> {
  const { log, signal, lookForDevices, waitMs = NETWORK_WAIT_MS } = options;
  if (isInterface(name)) return;
  log.info(`network: ${name}: missing, waiting for it`);
  const until = performance.now() + waitMs;
  let rescanAt = performance.now();
  while (!isInterface(name)) {
    signal?.throwIfAborted();
    if (performance.now() > until) {
      throw new AgentError(
        "NETWORK_NO_INTERFACE",
        `Cannot set up ${name}: no such interface after ${Math.round(waitMs / 1000)} s`,
      );
    }
    if (lookForDevices && performance.now() > rescanAt) {
      await lookForDevices();
      rescanAt = performance.now() + NETWORK_RESCAN_MS;
    }
    await sleep(NETWORK_POLL_MS);
  }
}

/** One link is enough: another port may belong to the test. */
async function waitForLink(
  settings: readonly InterfaceSettings[],
  { log, signal, waitMs = NETWORK_WAIT_MS }: StaticNetworkOptions,
): Promise<void> {
  const names = settings.map(({ name }) => name);
  if (!(await pollUntil(() => names.some(hasCarrier), { waitMs, pollMs: NETWORK_POLL_MS, signal }))) {
    throw new AgentError(
      "NETWORK_NO_CARRIER",
      `Cannot bring the network up: no link on "${names.join(", ")}" after ${Math.round(waitMs / 1000)} s`,
    );
  }
  for (const name of names.filter((each) => !hasCarrier(each))) log.warn(`network: ${name}: has no link`);
}

function describe(name: string, text: string): InterfaceState {
  const [address, length] = text.split("/");
  return { name, address: address!, prefixLength: Number(length), method: "static" };
}

const isIpv6 = (address: string) => address.includes(":");
