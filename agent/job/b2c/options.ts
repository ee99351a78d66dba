/**
 * The table of boot2container's options. The values of repeatable ones go through splitEchoedValue first; of the others the
 * last one counts.
 */
import { showValue } from "../../redaction/patterns.ts";
import { readStep } from "../dut/step-options.ts";
import type { JobDraft } from "../job-draft.ts";
import { add, addAll, type Option, set, toEnd, toJob, toMachine } from "../option.ts";
import {
  parseEndCommand,
  parseFileSystem,
  parseHostname,
  parseInterface,
  parseKeymap,
  parseNetworkBlockDevice,
  parseNtp,
  parseProxies,
  parseS3Alias,
  parseSwap,
  parseVolume,
} from "../syntax/settings.ts";
import { type ReadingRules, readSubParameters } from "../syntax/sub-parameters.ts";
import { parseSleepSeconds, parseUrl, splitList, ValueError } from "../syntax/values.ts";

const MAX_POWEROFF_DELAY_S = 86_400;

const CONTAINER = {
  form: `"-e NAME=VALUE docker://HOST/IMAGE:TAG sh -c '…'"`,
  isRepeatable: true,
} as const;

const readVolume = add(toJob, "volumes", parseVolume);

export const B2C_OPTIONS: readonly Option[] = [
  { ...CONTAINER, name: "b2c.run", aliases: ["b2c.container"], read: readStep("main") },
  { ...CONTAINER, name: "b2c.run_service", aliases: ["b2c.service"], read: readStep("service") },
  { ...CONTAINER, name: "b2c.run_post", aliases: ["b2c.post_container"], read: readStep("post") },
  { name: "b2c.pipefail", read: set(toJob, "stopsAtFailure", () => true) },
  {
    name: "b2c.volume",
    form: "NAME[,…]",
    isRepeatable: true,
    read: (value, draft, rules) =>
      value === "" ? rules.warn("has no value and is ignored") : readVolume(value, draft, rules),
  },
  {
    name: "b2c.minio",
    isDispensable: true,
    form: "ALIAS,URL,ACCESS_KEY,SECRET_KEY",
    isRepeatable: true,
    isSecret: true,
    read: (value, draft, rules) => {
      const alias = parseS3Alias(value, rules);
      draft.s3Aliases = [...(draft.s3Aliases ?? []), alias];
      allowPlainHttp(alias.url, draft);
    },
  },
  {
    name: "b2c.cache_device",
    isDispensable: true,
    form: "none|auto|reset|/dev/X|FILESYSTEM",
    read: readCacheDevice,
  },
  {
    name: "b2c.filesystem",
    isDispensable: true,
    form: "NAME,src=…[,type=…][,opts=A|B]",
    isRepeatable: true,
    read: add(toJob, "fileSystems", parseFileSystem),
  },
  {
    name: "b2c.swap",
    isDispensable: true,
    form: "SIZE|/dev/X[,swappiness=N]",
    read: set(toMachine, "swap", parseSwap),
  },
  {
    name: "b2c.nbd",
    isDispensable: true,
    form: "/dev/nbdN,host=H[,port=P][,connections=N]",
    isRepeatable: true,
    read: add(toMachine, "networkBlockDevices", parseNetworkBlockDevice),
  },
  {
    name: "b2c.storage",
    isDispensable: true,
    form: "additionalimagestores=FILESYSTEM",
    read: set(toMachine, "imageStores", parseImageStores),
  },
  {
    name: "b2c.proxy",
    isDispensable: true,
    form: "https=URL",
    read: set(toMachine, "proxies", parseProxies),
  },
  {
    name: "b2c.iface",
    isDispensable: true,
    form: "NAME[,dhcp][,address=IP/LENGTH][,…]",
    isRepeatable: true,
    read: add(toMachine, "interfaces", parseInterface),
  },
  {
    name: "b2c.ntp_peer",
    isDispensable: true,
    form: "none|auto|HOST",
    read: set(toMachine, "ntp", parseNtp),
  },
  {
    name: "b2c.hostname",
    isDispensable: true,
    form: "NAME",
    read: set(toMachine, "hostname", parseHostname),
  },
  { name: "b2c.keymap", isDispensable: true, form: "NAME", read: set(toMachine, "keymap", parseKeymap) },
  {
    name: "b2c.insmods",
    isDispensable: true,
    form: "FILE,FILE",
    read: set(toMachine, "moduleFiles", (text) => splitList(text)),
  },
  {
    name: "b2c.poweroff_delay",
    isDispensable: true,
    form: "SECONDS",
    read: set(toEnd, "poweroffDelayMs", (text) => {
      const seconds = parseSleepSeconds(text);
      if (seconds === undefined || seconds > MAX_POWEROFF_DELAY_S)
        throw new ValueError(
          `has "${showValue(text)}", which is not a time of up to ${MAX_POWEROFF_DELAY_S} s`,
        );
      return seconds * 1_000;
    }),
  },
  {
    name: "b2c.shutdown_cmd",
    isDispensable: true,
    form: "COMMAND",
    read: set(toEnd, "poweroffCommand", parseEndCommand),
  },
  {
    name: "b2c.reboot_cmd",
    isDispensable: true,
    form: "COMMAND",
    read: set(toEnd, "rebootCommand", parseEndCommand),
  },
  {
    name: "b2c.extra_args_url",
    form: "URL",
    read: (value, draft) => {
      draft.machine.extraArgumentsUrl = parseUrl(value).href;
      allowPlainHttp(value, draft);
    },
  },
  {
    // systemd's option, which newer releases of boot2container read too.
    name: "modules_load",
    isDispensable: true,
    aliases: ["modules-load"],
    form: "NAME,NAME",
    isRepeatable: true,
    read: addAll(toMachine, "modules", (text) => splitList(text)),
  },
];

/** Users write these names, but no release of boot2container reads them. */
export const UNDOCUMENTED_OPTIONS = /^b2c\.(login|load|image_\w+|firmware\w*)$/;

export function findB2cOption(name: string): Option | undefined {
  return B2C_OPTIONS.find((option) => option.name === name || option.aliases?.includes(name));
}

/** Farms of this dialect use plain HTTP with their gateway; the URL alone allows it. */
function allowPlainHttp(text: string, draft: JobDraft): void {
  const url = new URL(text);
  if (url.protocol === "http:") draft.insecureHosts.push(url.host);
}

function readCacheDevice(text: string, draft: JobDraft): void {
  draft.cacheFileSystem = undefined;
  if (text.startsWith("/")) {
    if (!/^\/dev\/[^\s\0]+$/.test(text) || text.split("/").includes(".."))
      throw new ValueError("is a path that is not below /dev");
    draft.cache.choice = { device: text };
  } else if (text === "none" || text === "auto" || text === "reset") draft.cache.choice = text;
  else {
    draft.cache.choice = "none";
    draft.cacheFileSystem = text;
  }
}

function parseImageStores(text: string, rules: ReadingRules): string[] {
  const key = "additionalimagestores";
  return readSubParameters(`,${text}`, { values: [key] }, rules)
    .all(key)
    .flatMap((names) => names.split("|"));
}
