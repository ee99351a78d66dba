/**
 * The lease file: what udhcpc learned, as `key=value` lines with the names of its environment (busybox, udhcp README).
 * Everything in it came from the network unauthenticated, so only well-formed addresses and names are read out.
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
  /** The server that gave it. */
  serverId?: string;
  leaseSeconds?: number;
  boot: BootOffer;
}

/** Where the machine's root may be, as far as the server says. */
export interface BootOffer {
  /** DHCP option 17, as it came. */
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
  const words = (key: string) => (values.get(key) ?? "").split(/\s+/).filter((word) => word !== "");
  const addresses = (key: string) => words(key).filter((word) => parseAddress(word));
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
    prefixLength: Number.isInteger(prefix) && prefix >= 0 && prefix <= 32 ? prefix : 24,
    routers: addresses("router"),
    nameservers: addresses("dns"),
    ntpServers: addresses("ntpsrv"),
    searchDomains: [...words("search"), ...words("domain")].filter(isDomain),
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

/** resolv.conf(5): the C library reads three name servers. */
export function formatResolvConf(nameservers: readonly string[], searchDomains: readonly string[]): string {
  const lines = [...new Set(nameservers)].slice(0, 3).map((server) => `nameserver ${server}`);
  const domains = [...new Set(searchDomains)].slice(0, 6);
  if (domains.length > 0) lines.unshift(`search ${domains.join(" ")}`);
  return lines.map((line) => `${line}\n`).join("");
}
