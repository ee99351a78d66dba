/**
 * Parsers of the settings that our options and boot2container's share: volumes, file systems, interfaces, swap, block
 * devices, proxies and names. All throw ValueError; under `isStrict: false` some mistakes are only warnings.
 */
import { showValue } from "../../redaction/patterns.ts";
import type { InterfaceSettings, MachineSettings, NetworkBlockDevice, Swap } from "../machine-settings.ts";
import {
  type FileSystem,
  MIRROR_CONDITIONS,
  type MirrorCondition,
  type S3Alias,
  type Volume,
} from "../volume.ts";
import { showPipelineVariable } from "./container-value.ts";
import { parseEndCommands } from "./shutdown-command.ts";
import { type ReadingRules, readSubParameters, reportUnknownName } from "./sub-parameters.ts";
import { explainValueError, parseSize, parseUrl, parseWholeNumber, splitList, ValueError } from "./values.ts";

const VOLUME_KEYS = {
  values: [
    ...["filesystem", "mirror", "pull_from", "push_to", "pull_on", "push_on", "expiration", "exclude"],
    ...["encrypt_key", "fscrypt_key"],
  ],
  flags: ["overwrite", "remove", "preserve", "fscrypt_reset_key"],
};

/** `NAME[,mirror=ALIAS/BUCKET[/PATH]][,…]` */
export function parseVolume(text: string, rules: ReadingRules): Volume {
  const { head: name, has, all, last } = readSubParameters(text, VOLUME_KEYS, rules);
  if (!/^[a-zA-Z0-9][\w.-]*$/.test(name)) throw new ValueError(`has "${showValue(name)}" as its name`);
  const expiration = ["never", "pipeline_end"] as const;
  const wanted = last("expiration") ?? "never";
  const known = expiration.find((each) => each === wanted);
  if (!known) reportUnknownName(`"expiration=${showValue(wanted)}"`, expiration, wanted, rules);
  return {
    name,
    fileSystem: last("filesystem"),
    ...parseMirrors(name, last, rules),
    // Data that is kept for too long does less harm than data that is lost.
    expiration: known ?? "never",
    mirrorOptions: {
      overwrite: has("overwrite"),
      remove: has("remove"),
      preserve: has("preserve"),
      exclude: all("exclude"),
      encryptKey: last("encrypt_key"),
    },
    fscryptKey: last("fscrypt_key"),
    resetsFscryptKey: has("fscrypt_reset_key"),
  };
}

function parseMirrors(
  name: string,
  last: (...keys: string[]) => string | undefined,
  rules: ReadingRules,
): Pick<Volume, "pull" | "push"> {
  const [pullFrom, pushTo] = [last("mirror", "pull_from"), last("mirror", "push_to")];
  let [pullOn, pushOn] = [parseConditions("pull_on", last, rules), parseConditions("push_on", last, rules)];
  if (rules.isStrict && pullOn.length === 0 && pushOn.length === 0) {
    pullOn = ["pipeline_start"];
    pushOn = ["pipeline_end"];
  }
  if (!rules.isStrict && (pullFrom === undefined) !== (pushTo === undefined)) {
    // As in boot2container: farms may rely on one half doing nothing.
    rules.warn(`volume "${name}" is not mirrored: set both pull_from and push_to, or mirror`);
    return {};
  }
  return {
    pull: pullFrom === undefined ? undefined : { ...parseMirrorLocation(pullFrom), on: pullOn },
    push: pushTo === undefined ? undefined : { ...parseMirrorLocation(pushTo), on: pushOn },
  };
}

function parseConditions(
  key: string,
  last: (key: string) => string | undefined,
  rules: ReadingRules,
): MirrorCondition[] {
  const conditions = (last(key)?.split("|") ?? []).flatMap((word) => {
    const known = MIRROR_CONDITIONS.find((condition) => condition === word);
    if (known === undefined) reportUnknownName(`"${key}=${showValue(word)}"`, MIRROR_CONDITIONS, word, rules);
    return known ?? [];
  });
  if (!conditions.includes("changes") || conditions.length === 1) return conditions;
  rules.warn(`the conditions of "${key}" other than "changes" are ignored`);
  return ["changes"];
}

function parseMirrorLocation(text: string): { alias: string; bucket: string; prefix: string } {
  const [alias = "", bucket = "", ...rest] = text.split("/");
  if (alias === "" || bucket === "")
    throw new ValueError(`has the location "${showValue(text)}", which is not ALIAS/BUCKET[/PATH]`);
  return { alias, bucket, prefix: rest.filter((part) => part !== "").join("/") };
}

/** `ALIAS,URL,ACCESS_KEY,SECRET_KEY`; messages never show the keys. */
export function parseS3Alias(text: string, { isStrict, warn }: ReadingRules): S3Alias {
  const [name, url, accessKey, secretKey, ...rest] = text.split(",");
  if (!name || !url || !accessKey || !secretKey || (isStrict && rest.length > 0))
    throw new ValueError("is not ALIAS,URL,ACCESS_KEY,SECRET_KEY");
  if (rest.length > 0) warn("what follows the secret key is ignored");
  return { name, url: parseUrl(url).href.replace(/\/+$/, ""), accessKey, secretKey };
}

/** `NAME,src=…[,type=…][,opts=a|b|c]` */
export function parseFileSystem(text: string, rules: ReadingRules): FileSystem {
  const { head: name, last } = readSubParameters(text, { values: ["src", "type", "opts"] }, rules);
  if (name === "") throw new ValueError("has no name");
  const source = last("src");
  if (source === undefined) throw new ValueError("has no src=, the device or export to mount");
  return { name, source, type: last("type"), options: splitList(last("opts") ?? "", "|") };
}

const INTERFACE_KEYS = {
  values: ["address", "gateway", "route", "nameserver"],
  flags: ["dhcp", "auto", "forward"],
};

/** `NAME[,dhcp|auto][,address=IP/LENGTH][,gateway=IP][,route=NET/LENGTH:VIA]…[,nameserver=IP]…[,forward]` */
export function parseInterface(text: string, rules: ReadingRules): InterfaceSettings {
  const { head: name, has, all } = readSubParameters(text, INTERFACE_KEYS, rules);
  if (!/^[^\s/:]{1,15}$/.test(name))
    throw new ValueError(`has "${showValue(name)}", which is not an interface name`);
  const { isStrict, warn } = rules;
  const read = <Item>(key: string, parse: (text: string) => Item): Item[] =>
    all(key).flatMap((value) => {
      try {
        return [parse(value)];
      } catch (error) {
        if (isStrict || !(error instanceof ValueError)) throw error;
        warn(`"${key}=${showValue(value)}" is ignored: ${explainValueError(error)}`);
        return [];
      }
    });
  // As `ip`, which takes an address without a length for that of one host.
  const parseHostOrNetwork = (value: string) =>
    parseNetwork(isStrict || value.includes("/") ? value : formatHost(value));
  return {
    name,
    asksDhcp: has("dhcp") || has("auto"),
    addresses: read("address", parseHostOrNetwork),
    gateway: read("gateway", parseAddress).at(-1),
    routes: read("route", (value) => parseRoute(value, parseHostOrNetwork)),
    nameservers: read("nameserver", parseAddress),
    forwards: has("forward"),
  };
}

function parseRoute(
  text: string,
  parseTarget: (text: string) => string,
): InterfaceSettings["routes"][number] {
  const [, to, via] = /^(.*?\/\d+|default|[\d.]+):(.+)$/.exec(text) ?? [];
  if (to === undefined)
    throw new ValueError(`has the route "${showValue(text)}", which is not NET/LENGTH:VIA`);
  return { to: to === "default" ? to : parseTarget(to), via: parseAddress(via!) };
}

function formatHost(address: string): string {
  return `${address}/${address.includes(":") ? 128 : 32}`;
}

function parseNetwork(text: string): string {
  const [, address, length] = /^(.*)\/(\d{1,3})$/.exec(text) ?? [];
  if (address === undefined || Number(length) > (address.includes(":") ? 128 : 32))
    throw new ValueError(`has "${showValue(text)}", which is not ADDRESS/LENGTH`);
  return `${parseAddress(address)}/${Number(length)}`;
}

function parseAddress(text: string): string {
  const isAddress = text.includes(":") ? /^[0-9a-fA-F:.]+$/.test(text) : /^\d{1,3}(\.\d{1,3}){3}$/.test(text);
  if (!isAddress) throw new ValueError(`has "${showValue(text)}", which is not an address`);
  return text;
}

/** `SIZE` or `/dev/X`, then `,swappiness=N`; undefined for no swap. */
export function parseSwap(text: string, rules: ReadingRules): Swap | undefined {
  const { head, last } = readSubParameters(text, { values: ["swappiness"] }, rules);
  if (head === "" || head === "0") return undefined;
  const location = head.startsWith("/dev/") ? { device: head } : { sizeBytes: parseSize(head) };
  const swappiness = last("swappiness");
  return {
    ...location,
    swappiness: swappiness === undefined ? undefined : parseWholeNumber(swappiness, { max: 200 }),
  };
}

/** Assigned by IANA. */
const NBD_PORT = "10809";

/** `/dev/nbdN,host=H[,port=P][,connections=N]` */
export function parseNetworkBlockDevice(text: string, rules: ReadingRules): NetworkBlockDevice {
  const keys = { values: ["host", "port", "connections"] };
  const { head: device, last } = readSubParameters(text, keys, rules);
  if (!/^\/dev\/nbd\d+$/.test(device))
    throw new ValueError(`has the device "${showValue(device)}", which is not /dev/nbdN`);
  const host = last("host");
  if (host === undefined) throw new ValueError("has no host=");
  const port = parseWholeNumber(last("port") ?? NBD_PORT, { max: 65_535 });
  const connections = parseWholeNumber(last("connections") ?? "1", { max: 16 });
  return { device, host, port, connections };
}

/** `SCHEME=URL[,SCHEME=URL]` */
export function parseProxies(text: string): Record<string, string> {
  return Object.fromEntries(
    text.split(",").map((word) => {
      const [, scheme, url] = /^(https?)=(.+)$/.exec(word) ?? [];
      if (scheme === undefined)
        throw new ValueError(`has "${showValue(word)}", which is not https=URL or http=URL`);
      return [scheme, parseUrl(url!).href];
    }),
  );
}

export function parseNtp(text: string): MachineSettings["ntp"] {
  if (!/^[\w.:[\]-]+$/.test(text)) throw new ValueError(`has "${showValue(text)}", which is not a host`);
  return text === "none" || text === "auto" ? text : { host: text };
}

export function parseHostname(text: string): string {
  // Farms name boards after device types, with underscores; the kernel takes any name.
  if (!/^[A-Za-z0-9_][\w.-]{0,63}$/.test(text)) throw new ValueError("is not a valid host name");
  return text;
}

export function parseKeymap(text: string): string {
  if (!/^[\w.-]+$/.test(text)) throw new ValueError("is not the name of a keymap");
  return text;
}

/** boot2container skips an invalid command and ends the machine, so an invalid command does not refuse the job. */
export function parseEndCommand(text: string, { warn, isStrict }: ReadingRules): string {
  try {
    parseEndCommands(text, showPipelineVariable);
  } catch (error) {
    if (isStrict) throw error;
    warn(`${explainValueError(error)}; the machine ends without running it`);
  }
  return text;
}
