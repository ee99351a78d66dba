/**
 * Lists the network interfaces in sysfs, with the reason why one is not a wired interface to use.
 * Kernel Documentation/ABI/testing/sysfs-class-net.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

const CLASS_NET = "/sys/class/net";
/** include/uapi/linux/if_arp.h */
const ARPHRD_ETHER = "1";

export interface NetworkInterface {
  name: string;
  /** Absent: usable. */
  skippedBecause?: string;
}

export function listInterfaces(): NetworkInterface[] {
  return readdirSync(CLASS_NET)
    .sort()
    .filter((name) => name !== "lo" && existsSync(join(CLASS_NET, name, "type")))
    .map((name) => ({ name, skippedBecause: findSkipReason(name) }));
}

function findSkipReason(name: string): string | undefined {
  const has = (file: string) => existsSync(join(CLASS_NET, name, file));
  if (readAttribute(name, "type") !== ARPHRD_ETHER) return "it is not an Ethernet interface";
  if (has("wireless") || has("phy80211")) return "it is wireless";
  const kind = /^DEVTYPE=(.+)$/m.exec(readAttribute(name, "uevent"))?.[1];
  if (kind && kind !== "dsa") return `it is of type "${kind}"`;
  if (has("master")) return "it belongs to another interface";
  // An end of a veth pair, as in a DUT in a network namespace, has no device but a peer.
  const isVirtual = !has("device") && readAttribute(name, "iflink") === readAttribute(name, "ifindex");
  if (isVirtual || has("tun_flags")) return "it is virtual";
  return undefined;
}

export function isInterface(name: string): boolean {
  return existsSync(join(CLASS_NET, name));
}

/** False without a link or while the interface is down. */
export function hasCarrier(name: string): boolean {
  try {
    return readAttribute(name, "carrier") === "1";
  } catch {
    return false; // EINVAL while it is down, ENOENT after it disappeared
  }
}

/** The interface's index: the order in which the kernel found them. */
export function readIndex(name: string): number {
  return Number(readAttribute(name, "ifindex"));
}

/** The hardware address in lower case. */
export function readHardwareAddress(name: string): string {
  return readAttribute(name, "address");
}

function readAttribute(name: string, attribute: string): string {
  return readFileSync(join(CLASS_NET, name, attribute), "utf8").trim();
}
