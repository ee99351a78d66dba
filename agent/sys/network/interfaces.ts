/**
 * Finds the machine's wired network interfaces in sysfs, and says why another one is left alone.
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
    .map((name) => {
      const skippedBecause = tellWhySkipped(name);
      return { name, skippedBecause };
    });
}

function tellWhySkipped(name: string): string | undefined {
  const has = (file: string) => existsSync(join(CLASS_NET, name, file));
  if (readAttribute(name, "type") !== ARPHRD_ETHER) return "it is no Ethernet interface";
  if (has("wireless") || has("phy80211")) return "it is wireless";
  const kind = /^DEVTYPE=(.+)$/m.exec(readAttribute(name, "uevent"))?.[1];
  if (kind && kind !== "dsa") return `it is of type "${kind}"`;
  if (has("master")) return "it belongs to another interface";
  // A veth pair's end has no device, but another link behind it: a DUT in a network namespace.
  const isVirtual = !has("device") && readAttribute(name, "iflink") === readAttribute(name, "ifindex");
  if (isVirtual || has("tun_flags")) return "it is virtual";
  return undefined;
}

export function isInterface(name: string): boolean {
  return existsSync(join(CLASS_NET, name));
}

/** Whether there is a link; false as well while the interface is down. */
export function hasCarrier(name: string): boolean {
  try {
    return readAttribute(name, "carrier") === "1";
  } catch {
    return false; // EINVAL while it is down, ENOENT once it is gone
  }
}

/** The interface's number: the order in which the kernel found them. */
export function readIndex(name: string): number {
  return Number(readAttribute(name, "ifindex"));
}

function readAttribute(name: string, attribute: string): string {
  return readFileSync(join(CLASS_NET, name, attribute), "utf8").trim();
}
