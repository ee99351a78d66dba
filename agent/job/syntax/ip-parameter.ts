/**
 * Parses the kernel's `ip=` parameter (Documentation/admin-guide/nfs/nfsroot.rst), and those forms of dracut.cmdline(7) that
 * are unambiguous. IPv4 only.
 */
import { AgentError } from "../../errors.ts";

export type IpParameter =
  /** The network stays as it is. */
  { method: "off" } | ({ method: "dhcp" } & IpSettings) | StaticAddress;

interface IpSettings {
  /** Absent for every interface, or the first with a link. */
  device?: string;
  hostname?: string;
  /** The NFS root's server. */
  server?: string;
  nameservers: string[];
  ntpServers: string[];
}

export interface StaticAddress extends IpSettings {
  method: "static";
  address: string;
  prefixLength: number;
  gateway?: string;
}

/** Of these protocols only DHCP is still in use. */
const DYNAMIC = new Set(["dhcp", "on", "any", "both", "bootp"]);
const NOT_DYNAMIC = new Set(["off", "none", "static"]);
const FIELD_COUNT = 10;

/** Throws NETWORK_BAD_PARAMETER. */
export function parseIpParameter(text: string): IpParameter {
  const refuse = (reason: string): never => {
    throw new AgentError("NETWORK_BAD_PARAMETER", `Cannot use "ip=${text}": ${reason}`);
  };
  if (text === "" || DYNAMIC.has(text)) return { method: "dhcp", nameservers: [], ntpServers: [] };
  if (NOT_DYNAMIC.has(text)) return { method: "off" };
  if (/^(dhcp6|auto6|either6|link6|ibft|rarp)$/.test(text)) return refuse(`"${text}" is not supported`);
  if (text.includes("[")) return refuse("IPv6 addresses are not supported");

  const fields = text.split(":");
  const short = parseDeviceMethod(fields);
  if (short) return short;
  if (fields.length === 1 && !parseAddress(text))
    return refuse(`"${text}" is neither an address nor a method`);
  if (fields.length > FIELD_COUNT) return refuse(`it has more than ${FIELD_COUNT} fields`);
  const [
    client = "",
    serverText = "",
    gateway = "",
    mask = "",
    hostname = "",
    device = "",
    method = "",
    ...servers
  ] = fields;

  const address = (value: string, what: string) =>
    parseAddress(value) ?? refuse(`${what} "${value}" is not an IPv4 address`);
  const optional = (value: string, what: string) => (value === "" ? undefined : address(value, what));
  if (method !== "" && !DYNAMIC.has(method) && !NOT_DYNAMIC.has(method))
    refuse(`method "${method}" is unknown`);
  if (device !== "" && !isInterfaceName(device)) refuse(`"${device}" is not an interface name`);
  const [dns0 = "", dns1 = "", ntp0 = ""] = servers;
  const server = parseAddress(serverText);
  const named = {
    server,
    device: device || undefined,
    hostname: hostname || undefined,
    nameservers: [optional(dns0, "name server"), optional(dns1, "name server")].filter(
      (dns) => dns !== undefined,
    ),
    ntpServers: [optional(ntp0, "NTP server")].filter((ntp) => ntp !== undefined),
  };
  if (client === "") {
    return NOT_DYNAMIC.has(method) ? { method: "off" } : { method: "dhcp", ...named };
  }
  const clientAddress = address(client, "client");
  return {
    method: "static",
    address: clientAddress,
    prefixLength:
      mask === "" ? classPrefix(clientAddress) : (parseMask(mask) ?? refuse(`"${mask}" is not a mask`)),
    gateway: optional(gateway, "gateway"),
    ...named,
  };
}

/** dracut's `ip=eth0:dhcp`: in nfsroot.rst the two fields are client and server, but neither is an address. */
function parseDeviceMethod(fields: string[]): IpParameter | undefined {
  const [device = "", method = ""] = fields;
  if (fields.length !== 2 || !isInterfaceName(device) || parseAddress(device)) return undefined;
  if (!DYNAMIC.has(method)) return undefined;
  return { method: "dhcp", device, nameservers: [], ntpServers: [] };
}

function isInterfaceName(text: string): boolean {
  return /^[^\s/:]{1,15}$/.test(text) && text !== "." && text !== "..";
}

/** Dotted decimal without leading zeros, which some parsers read as octal. */
export function parseAddress(text: string): string | undefined {
  const parts = text.split(".");
  const fits = (part: string) => /^(0|[1-9]\d{0,2})$/.test(part) && Number(part) <= 255;
  return parts.length === 4 && parts.every(fits) ? text : undefined;
}

/** `255.255.255.0`, or dracut's `24`; undefined if the bits are not contiguous. */
function parseMask(text: string): number | undefined {
  if (/^\d{1,2}$/.test(text)) return Number(text) <= 32 ? Number(text) : undefined;
  const address = parseAddress(text);
  if (!address) return undefined;
  const bits = address
    .split(".")
    .map((part) => Number(part).toString(2).padStart(8, "0"))
    .join("");
  return /^1*0*$/.test(bits) ? bits.lastIndexOf("1") + 1 : undefined;
}

/** The kernel's default: the address's class. */
function classPrefix(address: string): number {
  const first = Number(address.split(".")[0]);
  if (first < 128) return 8;
  return first < 192 ? 16 : 24;
}
