/**
 * Brings the wired network up: every interface at once, by DHCP or as `ip=` says, until one of them has an address.
 * Late adapters and late links are waited for; every interface's line in the log says what became of it.
 */
import { writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { AgentError } from "../../errors.ts";
import { type IpParameter, parseIpParameter, type StaticAddress } from "../../job/syntax/ip-parameter.ts";
import {
  NETWORK_OTHERS_WAIT_MS,
  NETWORK_POLL_MS,
  NETWORK_PROGRESS_MS,
  NETWORK_RESCAN_MS,
  NETWORK_WAIT_MS,
} from "../limits.ts";
import { runTool } from "../run-tool.ts";
import type { SysLog } from "../sys-log.ts";
import { type DhcpClient, startDhcpClient } from "./dhcp.ts";
import { nameMachine } from "./hostname.ts";
import { hasCarrier, listInterfaces, readIndex } from "./interfaces.ts";
import { type BootOffer, formatResolvConf, type Lease } from "./lease.ts";

export interface InterfaceState {
  name: string;
  address: string;
  prefixLength: number;
  method: "dhcp" | "static";
  /** The DHCP server. */
  serverId?: string;
}

export interface NetworkState {
  /** Those with an address, the first to get one first. */
  interfaces: InterfaceState[];
  nameservers: string[];
  ntpServers: string[];
  searchDomains: string[];
  /** Of the first DHCP answer that offers a root; the server, also by `ip=`. */
  boot?: BootOffer;
  /** Stops watching and the DHCP clients; addresses stay. For tests: a DUT keeps them to its end. */
  stop(): void;
}

export interface NetworkOptions {
  /** Value of `ip=`; absent: DHCP on every wired interface. */
  ip?: string;
  log: SysLog;
  signal?: AbortSignal;
  /** Loads drivers of devices that appeared since; called about once a second while there is no address. */
  lookForDevices?: () => Promise<unknown>;
  stateDir?: string;
  resolvConfPath?: string;
  busybox?: string;
  waitMs?: number;
  othersWaitMs?: number;
}

/** Throws NETWORK_…; by the job's deadline, the signal's reason. */
export async function bringUpNetwork(options: NetworkOptions): Promise<NetworkState> {
  const { log, busybox = "busybox" } = options;
  await runIp(busybox, "link", "set", "lo", "up");
  const wish = parseIpParameter(options.ip ?? "dhcp");
  if (wish.method === "off") {
    log.info("network: left alone, as ip= says");
    return { interfaces: [], nameservers: [], ntpServers: [], searchDomains: [], stop: () => {} };
  }
  if (wish.hostname) nameMachine(wish.hostname, log);
  const effort = createNetworkAttempt(wish, options);
  try {
    await effort.waitForFirst();
    await effort.waitForOthers();
    return effort.settle();
  } catch (error) {
    effort.stop();
    throw error;
  }
}

/** How far an interface has come. */
interface Candidate {
  name: string;
  hasLink: boolean;
  client?: DhcpClient;
  state?: InterfaceState;
  lease?: Lease;
}

function createNetworkAttempt(wish: Exclude<IpParameter, { method: "off" }>, options: NetworkOptions) {
  const { log, signal, busybox = "busybox", stateDir = "/run/dutboot/network" } = options;
  const { waitMs = NETWORK_WAIT_MS, othersWaitMs = NETWORK_OTHERS_WAIT_MS } = options;
  const startedAt = performance.now();
  const candidates = new Map<string, Candidate>();
  const skipped = new Set<string>();
  const configured: Candidate[] = [];
  let nextProgressMs = NETWORK_PROGRESS_MS;
  let nextRescanMs = NETWORK_RESCAN_MS;
  let watch: NodeJS.Timeout | undefined;
  const elapsedMs = () => performance.now() - startedAt;

  const take = async (): Promise<void> => {
    for (const { name, skippedBecause } of listInterfaces()) {
      if (candidates.has(name) || skipped.has(name)) continue;
      const unwanted =
        wish.device === undefined ? skippedBecause : wish.device !== name && "ip= names another one";
      if (unwanted) {
        skipped.add(name);
        log.info(`network: ${name}: not used, ${unwanted}`);
        continue;
      }
      candidates.set(name, { name, hasLink: false });
      try {
        await runIp(busybox, "link", "set", name, "up");
      } catch (error) {
        log.warn(`network: ${name}: cannot be switched on: ${(error as Error).message}`);
        continue;
      }
      log.info(`network: ${name}: found, waiting for a link`);
    }
  };

  const advance = async (candidate: Candidate): Promise<void> => {
    const { name } = candidate;
    if (!candidate.hasLink && hasCarrier(name)) {
      candidate.hasLink = true;
      log.info(`network: ${name}: has a link after ${(elapsedMs() / 1000).toFixed(1)} s`);
    }
    if (!candidate.hasLink || candidate.state) return;
    if (wish.method === "static") {
      if (configured.length > 0) return;
      candidate.state = await setStaticAddress(busybox, name, wish);
    } else {
      candidate.client ??= startDhcpClient(name, {
        stateDir,
        metric: 100 + readIndex(name),
        busybox,
        hostname: wish.hostname,
      });
      const lease = candidate.client.readLease();
      if (!lease) return;
      candidate.lease = lease;
      candidate.state = describeLease(name, lease);
    }
    configured.push(candidate);
    log.info(`network: ${formatState(candidate.state, candidate.lease)}`);
  };

  const step = async (): Promise<void> => {
    signal?.throwIfAborted();
    await take();
    for (const candidate of candidates.values()) await advance(candidate);
  };

  const collect = () => ({
    nameservers: unique([
      ...wish.nameservers,
      ...configured.flatMap(({ lease }) => lease?.nameservers ?? []),
    ]),
    ntpServers: unique([...wish.ntpServers, ...configured.flatMap(({ lease }) => lease?.ntpServers ?? [])]),
    searchDomains: unique(configured.flatMap(({ lease }) => lease?.searchDomains ?? [])),
  });

  let written: string | undefined;
  // In place, not by rename: containers have the file itself mounted.
  const writeResolvConf = () => {
    const { nameservers, searchDomains } = collect();
    const text = formatResolvConf(nameservers, searchDomains);
    if (text === written) return;
    writeFileSync(options.resolvConfPath ?? "/etc/resolv.conf", text);
    written = text;
  };

  /** After the boot has gone on: answers that come late, and renewals that bring other name servers. */
  const keepUp = async (): Promise<void> => {
    for (const candidate of candidates.values()) {
      await advance(candidate);
      const lease = candidate.client?.readLease();
      if (lease) candidate.lease = lease;
    }
    writeResolvConf();
  };

  return {
    async waitForFirst(): Promise<void> {
      for (;;) {
        await step();
        if (configured.length > 0) return;
        if (elapsedMs() > waitMs) throw describeFailure([...candidates.values()], waitMs);
        if (elapsedMs() > nextProgressMs) {
          nextProgressMs += NETWORK_PROGRESS_MS;
          log.info(
            `network: ${describeWait([...candidates.values()])} (${Math.round(elapsedMs() / 1000)} s)`,
          );
        }
        if (options.lookForDevices && elapsedMs() > nextRescanMs) {
          await options.lookForDevices();
          nextRescanMs = elapsedMs() + NETWORK_RESCAN_MS;
        }
        await sleep(NETWORK_POLL_MS, undefined, { signal: signal ?? new AbortController().signal }).catch(
          () => {
            signal?.throwIfAborted();
          },
        );
      }
    },
    async waitForOthers(): Promise<void> {
      const until = elapsedMs() + othersWaitMs;
      const someLeft = () => [...candidates.values()].some(({ client, state }) => client && !state);
      while (someLeft() && elapsedMs() < until) {
        await sleep(NETWORK_POLL_MS);
        await step();
      }
    },
    settle(): NetworkState {
      writeResolvConf();
      watch = setInterval(() => {
        keepUp().catch((error: Error) =>
          log.warn(`network: cannot keep up with the leases: ${error.message}`),
        );
      }, NETWORK_PROGRESS_MS).unref();
      return {
        interfaces: configured.map(({ state }) => state!),
        ...collect(),
        ...findBootOffer(configured, wish.server),
        stop: this.stop,
      };
    },
    stop(): void {
      clearInterval(watch);
      for (const { client } of candidates.values()) client?.stop();
    },
  };
}

async function setStaticAddress(busybox: string, name: string, wish: StaticAddress): Promise<InterfaceState> {
  const { address, prefixLength, gateway } = wish;
  try {
    await runIp(busybox, "addr", "replace", `${address}/${prefixLength}`, "broadcast", "+", "dev", name);
    if (gateway) await runIp(busybox, "route", "replace", "default", "via", gateway, "dev", name);
  } catch (cause) {
    throw new AgentError(
      "NETWORK_FAILED",
      `Cannot give ${name} the address "${address}/${prefixLength}": ${(cause as Error).message}`,
      { cause },
    );
  }
  return { name, address, prefixLength, method: "static" };
}

function runIp(busybox: string, ...words: string[]): Promise<string> {
  return runTool([busybox, "ip", ...words]);
}

function describeLease(name: string, { address, prefixLength, serverId }: Lease): InterfaceState {
  return { name, address, prefixLength, method: "dhcp", serverId };
}

function formatState(
  { name, address, prefixLength, method, serverId }: InterfaceState,
  lease?: Lease,
): string {
  const parts = [`${name}: ${address}/${prefixLength} by ${method}${serverId ? ` from ${serverId}` : ""}`];
  if (lease) {
    parts.push(
      `gateway ${lease.routers[0] ?? "none"}`,
      `name servers ${lease.nameservers.join(" ") || "none"}`,
    );
    if (lease.ntpServers.length > 0) parts.push(`time from ${lease.ntpServers.join(" ")}`);
  }
  return parts.join(", ");
}

function describeWait(candidates: Candidate[]): string {
  if (candidates.length === 0) return "still no wired interface";
  return candidates
    .map(({ name, hasLink, client }) => {
      if (!hasLink) return `${name} still has no link`;
      return `${name} still has no address, the DHCP client says "${client?.readLastLine() ?? ""}"`;
    })
    .join("; ");
}

function describeFailure(candidates: Candidate[], waitMs: number): AgentError {
  const after = `after ${Math.round(waitMs / 1000)} s`;
  const names = candidates.map(({ name }) => name).join(", ");
  if (candidates.length === 0) {
    return new AgentError("NETWORK_NO_INTERFACE", `Cannot bring the network up: no wired interface ${after}`);
  }
  if (!candidates.some(({ hasLink }) => hasLink)) {
    return new AgentError(
      "NETWORK_NO_CARRIER",
      `Cannot bring the network up: no link on "${names}" ${after}`,
    );
  }
  return new AgentError(
    "NETWORK_NO_LEASE",
    `Cannot bring the network up: no address for "${names}" ${after}: ${describeWait(candidates)}`,
  );
}

/** What `ip=` says of the server outweighs what was sent. */
function findBootOffer(configured: readonly Candidate[], server: string | undefined): { boot?: BootOffer } {
  const offers = configured.flatMap(({ lease }) => lease?.boot ?? []);
  const boot = offers.find(({ rootPath }) => rootPath !== undefined) ?? offers[0];
  return boot || server ? { boot: { ...boot, nextServer: server || undefined } } : {};
}

function unique(words: readonly string[]): string[] {
  return [...new Set(words)];
}
