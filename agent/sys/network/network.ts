/**
 * Brings the wired network up: all interfaces at once, by DHCP or as `ip=` says, until one has an address.
 * It waits for late adapters and links; the log shows the state of every interface.
 */
import { writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { AgentError } from "../../errors.ts";
import { type IpParameter, parseIpParameter, type StaticAddress } from "../../job/syntax/ip-parameter.ts";
import {
  NETWORK_BOOT_INTERFACE_WAIT_MS,
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
import { hasCarrier, listInterfaces, readHardwareAddress, readIndex } from "./interfaces.ts";
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
  /** Those with an address, in the order they got it. */
  interfaces: InterfaceState[];
  nameservers: string[];
  ntpServers: string[];
  searchDomains: string[];
  /** From the first DHCP answer that offers a root; the server also from `ip=`. */
  boot?: BootOffer;
  /** Ends the DHCP clients; addresses are kept. For tests: a DUT keeps them until its end. */
  stop(): void;
}

export interface NetworkOptions {
  /** Value of `ip=`; absent: DHCP on every wired interface. */
  ip?: string;
  /** Hardware address of the only interface to use, if the machine has it and `ip=` names no other. */
  bootInterface?: string;
  log: SysLog;
  signal?: AbortSignal;
  /** Loads drivers of new devices; called about once a second while there is no address. */
  lookForDevices?: () => Promise<unknown>;
  stateDir?: string;
  resolvConfPath?: string;
  busybox?: string;
  waitMs?: number;
  othersWaitMs?: number;
  bootInterfaceWaitMs?: number;
}

/** Throws NETWORK_… or the signal's reason. */
export async function bringUpNetwork(options: NetworkOptions): Promise<NetworkState> {
  const { log, busybox = "busybox" } = options;
  await runIp(busybox, "link", "set", "lo", "up");
  const request = parseIpParameter(options.ip ?? "dhcp");
  if (request.method === "off") {
    log.info("network: not set up, because ip= says so");
    return { interfaces: [], nameservers: [], ntpServers: [], searchDomains: [], stop: () => {} };
  }
  if (request.hostname) nameMachine(request.hostname, log);
  const bringUp = createBringUp(request, options);
  try {
    await bringUp.waitForFirst();
    await bringUp.waitForOthers();
    return bringUp.settle();
  } catch (error) {
    bringUp.stop();
    throw error;
  }
}

/** The state of an interface during the set-up. */
interface Candidate {
  name: string;
  hasLink: boolean;
  client?: DhcpClient;
  state?: InterfaceState;
  lease?: Lease;
}

function createBringUp(request: Exclude<IpParameter, { method: "off" }>, options: NetworkOptions) {
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

  let bootInterface = request.device === undefined ? options.bootInterface : undefined;
  const { bootInterfaceWaitMs = NETWORK_BOOT_INTERFACE_WAIT_MS } = options;

  const findCandidates = async (): Promise<void> => {
    const interfaces = listInterfaces();
    const isBootInterface = (name: string) => readHardwareAddress(name) === bootInterface;
    const hasBootInterface = interfaces.some(({ name }) => isBootInterface(name));
    if (bootInterface !== undefined && !hasBootInterface) {
      // The driver of another card may be faster.
      if (elapsedMs() < bootInterfaceWaitMs) return;
      log.warn(`network: no interface has the address of BOOTIF, ${bootInterface}: all are used`);
      bootInterface = undefined;
    }
    for (const { name, skippedBecause } of interfaces) {
      if (candidates.has(name) || skipped.has(name)) continue;
      const isOther = bootInterface !== undefined && !isBootInterface(name);
      const skipReason =
        request.device === undefined
          ? (skippedBecause ?? (isOther && "BOOTIF names another interface"))
          : request.device !== name && "ip= names another interface";
      if (skipReason) {
        skipped.add(name);
        log.info(`network: ${name}: not used, ${skipReason}`);
        continue;
      }
      candidates.set(name, { name, hasLink: false });
      try {
        await runIp(busybox, "link", "set", name, "up");
      } catch (error) {
        log.warn(`network: ${name}: cannot be brought up: ${(error as Error).message}`);
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
    if (request.method === "static") {
      if (configured.length > 0) return;
      candidate.state = await setStaticAddress(busybox, name, request);
    } else {
      candidate.client ??= startDhcpClient(name, {
        stateDir,
        metric: 100 + readIndex(name),
        busybox,
        hostname: request.hostname,
      });
      const lease = candidate.client.readLease();
      if (!lease) return;
      candidate.lease = lease;
      const { address, prefixLength, serverId } = lease;
      candidate.state = { name, address, prefixLength, method: "dhcp", serverId };
    }
    configured.push(candidate);
    log.info(`network: ${formatState(candidate.state, candidate.lease)}`);
  };

  const step = async (): Promise<void> => {
    signal?.throwIfAborted();
    await findCandidates();
    for (const candidate of candidates.values()) await advance(candidate);
  };

  const collect = () => ({
    nameservers: unique([
      ...request.nameservers,
      ...configured.flatMap(({ lease }) => lease?.nameservers ?? []),
    ]),
    ntpServers: unique([
      ...request.ntpServers,
      ...configured.flatMap(({ lease }) => lease?.ntpServers ?? []),
    ]),
    searchDomains: unique(configured.flatMap(({ lease }) => lease?.searchDomains ?? [])),
  });

  let written: string | undefined;
  // In place, not by rename, because containers bind-mount the file.
  const writeResolvConf = () => {
    const { nameservers, searchDomains } = collect();
    const text = formatResolvConf(nameservers, searchDomains);
    if (text === written) return;
    writeFileSync(options.resolvConfPath ?? "/etc/resolv.conf", text);
    written = text;
  };

  /** After the set-up: late answers, and renewals with other name servers. */
  const followLeases = async (): Promise<void> => {
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
        await sleep(NETWORK_POLL_MS, undefined, signal && { signal }).catch(() => signal?.throwIfAborted());
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
      if (request.method === "static" && request.nameservers.length === 0)
        log.warn("network: ip= has no name server, so names cannot be resolved: add one as its eighth field");
      writeResolvConf();
      watch = setInterval(() => {
        followLeases().catch((error: Error) =>
          log.warn(`network: cannot follow the leases: ${error.message}`),
        );
      }, NETWORK_PROGRESS_MS).unref();
      return {
        interfaces: configured.map(({ state }) => state!),
        ...collect(),
        ...findBootOffer(configured, request.server),
        stop: this.stop,
      };
    },
    stop(): void {
      clearInterval(watch);
      for (const { client } of candidates.values()) client?.stop();
    },
  };
}

async function setStaticAddress(
  busybox: string,
  name: string,
  request: StaticAddress,
): Promise<InterfaceState> {
  const { address, prefixLength, gateway } = request;
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

function runIp(busybox: string, ...args: string[]): Promise<string> {
  return runTool([busybox, "ip", ...args]);
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
      return `${name} still has no address, the DHCP client reports "${client?.readLastLine() ?? ""}"`;
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

/** The server of `ip=` replaces that of DHCP. */
function findBootOffer(configured: readonly Candidate[], server: string | undefined): { boot?: BootOffer } {
  const offers = configured.flatMap(({ lease }) => lease?.boot ?? []);
  const boot = offers.find(({ rootPath }) => rootPath !== undefined) ?? offers[0];
  return boot || server ? { boot: { ...boot, nextServer: server || undefined } } : {};
}

function unique(items: readonly string[]): string[] {
  return [...new Set(items)];
}
