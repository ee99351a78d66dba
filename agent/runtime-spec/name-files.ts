/**
 * The container's /etc/resolv.conf and /etc/hosts, as podman writes them.
 * resolv.conf(5), hosts(5).
 */
import type { ContainerSettings } from "../job/step.ts";
import { createSettingError } from "./setting-error.ts";

/** The machine's file with the job's changes; undefined to keep the image's own. */
export function planResolvConf(
  machineText: string,
  { nameservers = [], searchDomains = [] }: Pick<ContainerSettings, "nameservers" | "searchDomains">,
): string | undefined {
  if (nameservers.includes("none")) return undefined;
  const kept = machineText.split("\n").filter((line) => {
    const [word = ""] = line.trim().split(/\s+/);
    if (word === "nameserver") return nameservers.length === 0;
    if (word === "search" || word === "domain") return searchDomains.length === 0;
    return word !== "";
  });
  // A single dot means no domain.
  const domains = searchDomains.filter((domain) => domain !== ".");
  return [
    ...(domains.length > 0 ? [`search ${domains.join(" ")}`] : []),
    ...kept,
    ...nameservers.map((address) => `nameserver ${address}`),
    "",
  ].join("\n");
}

/** `hosts` as `NAME[;NAME…]:ADDRESS`. Throws RUN_BAD_SETTING. */
export function planHosts(hostname: string, hosts: readonly string[] = []): string {
  const lines = hosts.map((text) => {
    const [, names, address] = /^([^:]+):(.+)$/.exec(text) ?? [];
    if (names === undefined || address === undefined)
      throw createSettingError(`Cannot add the host "${text}": it is not NAME:ADDRESS`);
    // The container shares the machine's network.
    const target = address === "host-gateway" ? "127.0.0.1" : address.replace(/^\[(.*)\]$/, "$1");
    return `${target} ${names.split(";").join(" ")}`;
  });
  return [
    "127.0.0.1 localhost",
    "::1 localhost ip6-localhost ip6-loopback",
    `127.0.1.1 ${hostname}`,
    ...lines,
    "",
  ].join("\n");
}
