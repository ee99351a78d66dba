/**
 * The table of boot2container's options under their old and new names: one entry an option, as in options.ts for ours.
 * Those that repeat go through splitEchoedValue first; of the others the last one counts.
 */

import type { Job } from "../job.ts";
import type { EndSettings, MachineSettings } from "../machine-settings.ts";
import type { StepKind } from "../step.ts";
import { parseB2cCache, parseB2cStorage, parseWholeNumber } from "../syntax/machine-values.ts";
import {
  readFileSystem,
  readHostname,
  readInterface,
  readKeymap,
  readModuleFiles,
  readModules,
  readNetworkBlockDevice,
  readNtpPeer,
  readPoweroffCommand,
  readProxies,
  readRebootCommand,
  readS3Alias,
  readSwap,
  readVolume,
} from "../syntax/setting-readers.ts";
import type { ReadingRules } from "../syntax/sub-parameters.ts";
import { parseUrl } from "../syntax/values.ts";

export interface B2cDraft extends Job {
  machine: MachineSettings;
  end: EndSettings;
}

export interface B2cOption {
  /** The newest first. */
  names: readonly string[];
  form?: string;
  isRepeatable?: boolean;
  /** What kind of step the value is; it is read by readB2cContainer. */
  step?: StepKind;
  /** The value is empty for an option that has no form. */
  read?: (value: string, draft: B2cDraft, rules: ReadingRules) => void;
}

/** Above a day nobody waits. */
const MAX_POWEROFF_DELAY_S = 86_400;

export const B2C_OPTIONS: readonly B2cOption[] = [
  { names: ["b2c.run", "b2c.container"], form: "CONTAINER", isRepeatable: true, step: "main" },
  { names: ["b2c.run_service", "b2c.service"], form: "CONTAINER", isRepeatable: true, step: "service" },
  { names: ["b2c.run_post", "b2c.post_container"], form: "CONTAINER", isRepeatable: true, step: "post" },
  {
    names: ["b2c.pipefail"],
    read: (_value, draft) => {
      draft.stopsAtFailure = true;
    },
  },
  { names: ["b2c.volume"], form: "NAME[,…]", isRepeatable: true, read: readVolume },
  {
    names: ["b2c.minio"],
    form: "ALIAS,URL,ACCESS_KEY,SECRET_KEY",
    isRepeatable: true,
    read: (value, draft, rules) => {
      readS3Alias(value, draft, rules);
      allowPlainHttp(draft.s3Aliases!.at(-1)!.url, draft);
    },
  },
  {
    names: ["b2c.cache_device"],
    form: "none|auto|reset|/dev/X|FILESYSTEM",
    read: (value, draft) => {
      const choice = parseB2cCache(value);
      delete draft.cacheFileSystem;
      if (typeof choice === "object" && "fileSystem" in choice) {
        draft.cache.choice = "none";
        draft.cacheFileSystem = choice.fileSystem;
      } else draft.cache.choice = choice;
    },
  },
  {
    names: ["b2c.filesystem"],
    form: "NAME,src=…[,type=…][,opts=A|B]",
    isRepeatable: true,
    read: readFileSystem,
  },
  { names: ["b2c.swap"], form: "SIZE|/dev/X[,swappiness=N]", read: readSwap },
  {
    names: ["b2c.nbd"],
    form: "/dev/nbdN,host=H[,port=P][,connections=N]",
    isRepeatable: true,
    read: readNetworkBlockDevice,
  },
  {
    names: ["b2c.storage"],
    form: "additionalimagestores=FILESYSTEM",
    read: (value, { machine }, rules) => {
      machine.imageStores = parseB2cStorage(value, rules);
    },
  },
  { names: ["b2c.proxy"], form: "https=URL", read: readProxies },
  {
    names: ["b2c.iface"],
    form: "NAME[,dhcp][,address=IP/LENGTH][,…]",
    isRepeatable: true,
    read: readInterface,
  },
  { names: ["b2c.ntp_peer"], form: "none|auto|HOST", read: readNtpPeer },
  { names: ["b2c.hostname"], form: "NAME", read: readHostname },
  { names: ["b2c.keymap"], form: "NAME", read: readKeymap },
  { names: ["b2c.insmods"], form: "FILE,FILE", read: readModuleFiles },
  {
    names: ["b2c.poweroff_delay"],
    form: "SECONDS",
    read: (value, { end }) => {
      end.poweroffDelayMs = parseWholeNumber(value, { max: MAX_POWEROFF_DELAY_S }) * 1_000;
    },
  },
  { names: ["b2c.shutdown_cmd"], form: "COMMAND", read: readPoweroffCommand },
  { names: ["b2c.reboot_cmd"], form: "COMMAND", read: readRebootCommand },
  {
    names: ["b2c.extra_args_url"],
    form: "URL",
    read: (value, draft) => {
      draft.machine.extraArgumentsUrl = parseUrl(value).href;
      allowPlainHttp(value, draft);
    },
  },
  {
    // systemd's, and read by newer releases; no prefix of theirs.
    names: ["modules_load", "modules-load"],
    form: "NAME,NAME",
    isRepeatable: true,
    read: readModules,
  },
];

/** Named by users in places, found in no source: they did nothing, and do nothing. */
export const UNDOCUMENTED_OPTIONS = /^b2c\.(login|load|image_\w+|firmware\w*)$/;

/** Farms of this dialect speak plain HTTP to their gateway, and their lines say so with the URL alone. */
function allowPlainHttp(text: string, draft: B2cDraft): void {
  const url = new URL(text);
  if (url.protocol === "http:") draft.insecureHosts.push(url.host);
}

export function findB2cOption(name: string): B2cOption | undefined {
  return B2C_OPTIONS.find(({ names }) => names.includes(name));
}
