/**
 * Network interfaces as a job spells them out: addresses, routes, a gateway, name servers, or DHCP on that interface alone.
 * The order of boot2container's b2c.iface: what DHCP gives comes first, what is written is added to it.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { AgentError } from "../../errors.ts";
import type { InterfaceSettings } from "../../job/machine-settings.ts";
import { NETWORK_POLL_MS, NETWORK_RESCAN_MS, NETWORK_WAIT_MS } from "../limits.ts";
import { runTool } from "../run-tool.ts";
import { hasCarrier, isInterface } from "./interfaces.ts";
import { formatResolvConf } from "./lease.ts";
import { bringUpNetwork, type InterfaceState, type NetworkOptions, type NetworkState } from "./network.ts";

export interface StaticNetworkOptions extends Omit<NetworkOptions, "ip"> {
  /** Of the kernel: set to 1 by an interface that forwards. */
  forwardPath?: string;
}

/** Throws NETWORK_…; by the job's deadline, the signal's reason. */
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
    for (const wish of settings) states.push(await setUpInterface(wish, options));
    await waitForLink(settings, options);
  } catch (error) {
    stop();
    throw error;
  }
  const unite = (pick: (state: NetworkState) => readonly string[]) => [...new Set(states.flatMap(pick))];
  const together = {
    interfaces: states.flatMap(({ interfaces }) => interfaces),
    // What is written down outweighs what a server says.
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

async function setUpInterface(wish: InterfaceSettings, options: StaticNetworkOptions): Promise<NetworkState> {
  const { name } = wish;
  const { log, busybox = "busybox", stateDir = "/run/dutboot/network" } = options;
  await waitForInterface(name, options);
  const ip = async (...words: string[]) => {
    try {
      await runTool([busybox, "ip", ...words]);
    } catch (cause) {
      throw new AgentError("NETWORK_FAILED", `Cannot set up ${name}: ${(cause as Error).message}`, { cause });
    }
  };
  await ip("link", "set", name, "up");
  const leased = wish.asksDhcp
    ? await bringUpNetwork({
        ...options,
        stateDir,
        ip: `:::::${name}:dhcp`,
        // The one of all interfaces is written when they are all up.
        resolvConfPath: join(stateDir, `${name}.resolv.conf`),
      })
    : { interfaces: [], nameservers: [], ntpServers: [], searchDomains: [], stop: () => {} };
  for (const address of wish.addresses) {
    await ip("addr", "replace", address, ...(isIpv6(address) ? [] : ["broadcast", "+"]), "dev", name);
  }
  if (wish.forwards) writeFileSync(options.forwardPath ?? "/proc/sys/net/ipv4/ip_forward", "1\n");
  const { gateway } = wish;
  const routes = [...(gateway === undefined ? [] : [{ to: "default", via: gateway }]), ...wish.routes];
  for (const { to, via } of routes) {
    await ip(...(isIpv6(via) ? ["-6"] : []), "route", "replace", to, "via", via, "dev", name);
  }
  const said = [
    ...wish.addresses,
    ...routes.map(({ to, via }) => `${to} via ${via}`),
    ...(wish.forwards ? ["forwards packets"] : []),
  ];
  if (said.length > 0) log.info(`network: ${name}: ${said.join(", ")}`);
  return {
    ...leased,
    interfaces: [...leased.interfaces, ...wish.addresses.map((text) => describe(name, text))],
  };
}

/** USB adapters come when they come. */
async function waitForInterface(name: string, options: StaticNetworkOptions): Promise<void> {
  const { log, signal, lookForDevices, waitMs = NETWORK_WAIT_MS } = options;
  if (isInterface(name)) return;
  log.info(`network: ${name}: not there yet, waiting for it`);
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

/** One link is enough: a second port may be there for a test that brings its own peer. */
async function waitForLink(
  settings: readonly InterfaceSettings[],
  { log, signal, waitMs = NETWORK_WAIT_MS }: StaticNetworkOptions,
): Promise<void> {
  const names = settings.map(({ name }) => name);
  const until = performance.now() + waitMs;
  while (!names.some(hasCarrier)) {
    signal?.throwIfAborted();
    if (performance.now() > until) {
      throw new AgentError(
        "NETWORK_NO_CARRIER",
        `Cannot bring the network up: no link on "${names.join(", ")}" after ${Math.round(waitMs / 1000)} s`,
      );
    }
    await sleep(NETWORK_POLL_MS);
  }
  for (const name of names.filter((each) => !hasCarrier(each))) log.warn(`network: ${name}: has no link`);
}

function describe(name: string, text: string): InterfaceState {
  const [address, length] = text.split("/");
  return { name, address: address!, prefixLength: Number(length), method: "static" };
}

const isIpv6 = (address: string) => address.includes(":");
