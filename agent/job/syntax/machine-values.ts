/**
 * Readers of boot2container's other values: file systems, interfaces, swap, network block devices, proxies, the cache.
 * Each throws ValueError; what the original only warns of, they only warn of.
 */

import { showValue } from "../../redaction/patterns.ts";
import type { CacheChoice } from "../job.ts";
import type { InterfaceSettings, NetworkBlockDevice, Swap } from "../machine-settings.ts";
import type { FileSystem } from "../volume.ts";
import { parseSize } from "./size.ts";
import { type ReadingRules, readSubParameters, splitSubParameters } from "./sub-parameters.ts";
import { parseUrl, ValueError } from "./values.ts";

/** `NAME,src=…[,type=…][,opts=a|b|c]` */
export function parseB2cFileSystem(text: string, rules: ReadingRules): FileSystem {
  const { head: name, parameters } = splitSubParameters(text);
  if (name === "") throw new ValueError("has no name");
  const fileSystem: FileSystem = { name, source: "", options: [] };
  readSubParameters(
    parameters,
    {
      src: (value) => {
        fileSystem.source = value;
      },
      type: (value) => {
        fileSystem.type = value;
      },
      opts: (value) => {
        fileSystem.options = value.split("|").filter((option) => option !== "");
      },
    },
    rules,
  );
  if (fileSystem.source === "") throw new ValueError("has no src=, which says what is mounted");
  return fileSystem;
}

/** `NAME[,dhcp|auto][,address=IP/LENGTH][,gateway=IP][,route=NET/LENGTH:VIA]…[,nameserver=IP]…[,forward]` */
export function parseB2cInterface(text: string, rules: ReadingRules): InterfaceSettings {
  const { head: name, parameters } = splitSubParameters(text);
  if (!/^[^\s/:]{1,15}$/.test(name)) throw new ValueError(`has "${showValue(name)}" as the interface's name`);
  const settings: InterfaceSettings = {
    name,
    asksDhcp: false,
    addresses: [],
    routes: [],
    nameservers: [],
    forwards: false,
  };
  const askDhcp = () => {
    settings.asksDhcp = true;
  };
  readSubParameters(
    parameters,
    {
      dhcp: askDhcp,
      auto: askDhcp,
      address: (value) => {
        settings.addresses.push(parseNetwork(value));
      },
      gateway: (value) => {
        settings.gateway = parseAddress(value);
      },
      route: (value) => {
        const [, to, via] = /^(.*?\/\d+|default):(.+)$/.exec(value) ?? [];
        if (to === undefined)
          throw new ValueError(`has the route "${showValue(value)}", which is not NET/LENGTH:VIA`);
        settings.routes.push({ to: to === "default" ? to : parseNetwork(to), via: parseAddress(via!) });
      },
      nameserver: (value) => {
        settings.nameservers.push(parseAddress(value));
      },
      forward: () => {
        settings.forwards = true;
      },
    },
    rules,
  );
  return settings;
}

function parseNetwork(text: string): string {
  const [, address, length] = /^(.*)\/(\d{1,3})$/.exec(text) ?? [];
  if (address === undefined || Number(length) > (address.includes(":") ? 128 : 32)) {
    throw new ValueError(`has "${showValue(text)}", which is not ADDRESS/LENGTH`);
  }
  return `${parseAddress(address)}/${Number(length)}`;
}

function parseAddress(text: string): string {
  const isAddress = text.includes(":") ? /^[0-9a-fA-F:.]+$/.test(text) : /^\d{1,3}(\.\d{1,3}){3}$/.test(text);
  if (!isAddress) throw new ValueError(`has "${showValue(text)}", which is no address`);
  return text;
}

/** `SIZE` or `/dev/X`, with `swappiness=N` behind it; without either there is no swap. */
export function parseB2cSwap(text: string, rules: ReadingRules): Swap | undefined {
  const { head, parameters } = splitSubParameters(text);
  let swappiness: number | undefined;
  readSubParameters(
    parameters,
    {
      swappiness: (value) => {
        swappiness = parseWholeNumber(value, { max: 200 });
      },
    },
    rules,
  );
  if (head === "" || head === "0") return undefined;
  const place = head.startsWith("/dev/") ? { device: head } : { sizeBytes: parseSize(head) };
  return { ...place, swappiness };
}

/** `/dev/nbdN,host=H,port=P,connections=N` */
export function parseB2cNbd(text: string, rules: ReadingRules): NetworkBlockDevice {
  const { head: device, parameters } = splitSubParameters(text);
  if (!/^\/dev\/nbd\d+$/.test(device))
    throw new ValueError(`has the device "${showValue(device)}", which is not /dev/nbdN`);
  const settings: NetworkBlockDevice = { device, host: "", port: DEFAULT_NBD_PORT, connections: 1 };
  readSubParameters(
    parameters,
    {
      host: (value) => {
        settings.host = value;
      },
      port: (value) => {
        settings.port = parseWholeNumber(value, { max: 65_535 });
      },
      connections: (value) => {
        settings.connections = parseWholeNumber(value, { max: 16 });
      },
    },
    rules,
  );
  if (settings.host === "") throw new ValueError("has no host=");
  return settings;
}

/** IANA's. */
const DEFAULT_NBD_PORT = 10_809;

/** `additionalimagestores=NAME` */
export function parseB2cStorage(text: string, rules: ReadingRules): string[] {
  const stores: string[] = [];
  const { parameters } = splitSubParameters(`,${text}`);
  readSubParameters(
    parameters,
    {
      additionalimagestores: (value) => {
        stores.push(...value.split("|"));
      },
    },
    rules,
  );
  return stores;
}

/** `SCHEME=URL[,SCHEME=URL]` */
export function parseB2cProxy(text: string): Record<string, string> {
  return Object.fromEntries(
    text.split(",").map((word) => {
      const [, scheme, url] = /^(https?)=(.+)$/.exec(word) ?? [];
      if (scheme === undefined)
        throw new ValueError(`has "${showValue(word)}", which is not https=URL or http=URL`);
      return [scheme, parseUrl(url!).href];
    }),
  );
}

export function parseB2cCache(text: string): CacheChoice | { fileSystem: string } {
  if (text.startsWith("/")) {
    if (!/^\/dev\/[\w/.:-]+$/.test(text)) throw new ValueError("is a path that is not below /dev");
    return { device: text };
  }
  return text === "none" || text === "auto" || text === "reset" ? text : { fileSystem: text };
}

export function parseWholeNumber(text: string, { max }: { max: number }): number {
  if (!/^\d+$/.test(text) || Number(text) > max) {
    throw new ValueError(`has "${showValue(text)}", which is not a whole number up to ${max}`);
  }
  return Number(text);
}
