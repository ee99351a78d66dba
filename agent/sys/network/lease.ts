/**
 * The lease file of udhcpc: `key=value` lines with the names of its environment (busybox, udhcp README).
 * The values come from the network without authentication, so only well-formed addresses and names are used.
 */
import { parseAddress } from "../../job/syntax/ip-parameter.ts";

export interface Lease {
  address: string;
  prefixLength: number;
  routers: string[];
  nameservers: string[];
  /** DHCP option 42. */
  ntpServers: string[];
  searchDomains: string[];
  /** The DHCP server. */
  serverId?: string;
  leaseSeconds?: number;
  boot: BootOffer;
}

/** The location of the machine's root, as far as the server names it. */
export interface BootOffer {
  /** DHCP option 17, unparsed. */
  rootPath?: string;
  /** The header's siaddr. */
  nextServer?: string;
  /** DHCP option 66: an address or a name. */
  tftpServer?: string;
}

/** undefined for a file without a usable address. */
export function parseLease(text: string): Lease | undefined {
  const values = new Map<string, string>();
  for (const line of text.split("\n")) {
    const at = line.indexOf("=");
    if (at > 0) values.set(line.slice(0, at), line.slice(at + 1).trim());
  }
  const list = (key: string) => (values.get(key) ?? "").split(/\s+/).filter((item) => item !== "");
  // 0.0.0.0 is no server: the C library would ask this machine.
  const addresses = (key: string) => list(key).filter((item) => parseAddress(item) && item !== "0.0.0.0");
  const address = parseAddress(values.get("ip") ?? "");
  if (!address) return undefined;
  const prefix = Number(values.get("mask") ?? "24");
  const serverId = parseAddress(values.get("serverid") ?? "");
  const leaseSeconds = Number(values.get("lease") ?? "");
  const rootPath = values.get("rootpath") ?? "";
  const nextServer = parseAddress(values.get("siaddr") ?? "");
  const tftpServer = values.get("tftp") ?? "";
  return {
    address,
    prefixLength: Number.isInteger(prefix) && prefix >= 1 && prefix <= 32 ? prefix : 24,
    routers: addresses("router"),
    nameservers: addresses("dns"),
    ntpServers: addresses("ntpsrv"),
    searchDomains: [...list("search"), ...list("domain")].filter(isDomain),
    serverId,
    ...(leaseSeconds > 0 && { leaseSeconds }),
    boot: {
      ...(/^[\x21-\x7e]{1,1024}$/.test(rootPath) && { rootPath }),
      nextServer,
      ...(isDomain(tftpServer) && { tftpServer }),
    },
  };
}

function isDomain(text: string): boolean {
  return /^[A-Za-z0-9_.-]{1,253}$/.test(text);
}

/** resolv.conf(5): the C library reads at most three name servers. */
export function formatResolvConf(nameservers: readonly string[], searchDomains: readonly string[]): string {
  const lines = [...new Set(nameservers)].slice(0, 3).map((server) => `nameserver ${server}`);
  const domains = [...new Set(searchDomains)].slice(0, 6);
  if (domains.length > 0) lines.unshift(`search ${domains.join(" ")}`);
  return lines.map((line) => `${line}\n`).join("");
}
