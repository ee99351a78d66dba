/**
 * Settings that two dialects write under names of their own: each reader takes a value into the job that is being read.
 * The forms are boot2container's (b2c-values.ts, b2c-volume.ts); every reader throws ValueError.
 */

import { showValue } from "../../redaction/patterns.ts";
import type { EndSettings, MachineSettings } from "../machine-settings.ts";
import type { FileSystem, S3Alias, Volume } from "../volume.ts";
import { showPipelineVariable } from "./container-value.ts";
import {
  parseB2cFileSystem,
  parseB2cInterface,
  parseB2cNbd,
  parseB2cProxy,
  parseB2cSwap,
} from "./machine-values.ts";
import { parseEndCommands } from "./shutdown-command.ts";
import type { ReadingRules } from "./sub-parameters.ts";
import { explainValueError, parseText, ValueError } from "./values.ts";
import { parseB2cMinio, parseB2cVolume } from "./volume-value.ts";

/** What the readers write to. */
interface SettingsDraft {
  volumes?: Volume[];
  fileSystems?: FileSystem[];
  s3Aliases?: S3Alias[];
  machine: MachineSettings;
  end: EndSettings;
}

export type SettingReader = (value: string, draft: SettingsDraft, rules: ReadingRules) => void;

export const readVolume: SettingReader = (value, draft, rules) => {
  draft.volumes = [...(draft.volumes ?? []), parseB2cVolume(value, rules)];
};

export const readS3Alias: SettingReader = (value, draft) => {
  draft.s3Aliases = [...(draft.s3Aliases ?? []), parseB2cMinio(value)];
};

export const readFileSystem: SettingReader = (value, draft, rules) => {
  draft.fileSystems = [...(draft.fileSystems ?? []), parseB2cFileSystem(value, rules)];
};

export const readSwap: SettingReader = (value, { machine }, rules) => {
  delete machine.swap;
  const swap = parseB2cSwap(value, rules);
  if (swap) machine.swap = swap;
};

export const readNetworkBlockDevice: SettingReader = (value, { machine }, rules) => {
  machine.networkBlockDevices = [...(machine.networkBlockDevices ?? []), parseB2cNbd(value, rules)];
};

export const readInterface: SettingReader = (value, { machine }, rules) => {
  machine.interfaces = [...(machine.interfaces ?? []), parseB2cInterface(value, rules)];
};

export const readProxies: SettingReader = (value, { machine }) => {
  machine.proxies = parseB2cProxy(value);
};

export const readNtpPeer: SettingReader = (value, { machine }) => {
  if (!/^[\w.:[\]-]+$/.test(value)) throw new ValueError(`has "${showValue(value)}", which is no host`);
  machine.ntp = value === "none" || value === "auto" ? value : { host: value };
};

export const readHostname: SettingReader = (value, { machine }) => {
  if (!/^[A-Za-z0-9][A-Za-z0-9.-]{0,63}$/.test(value)) throw new ValueError("is no name for a machine");
  machine.hostname = value;
};

export const readKeymap: SettingReader = (value, { machine }) => {
  if (!/^[\w.-]+$/.test(value)) throw new ValueError("is no name of a keymap");
  machine.keymap = value;
};

export const readModules: SettingReader = (value, { machine }) => {
  machine.modules = [...(machine.modules ?? []), ...splitList(value)];
};

export const readModuleFiles: SettingReader = (value, { machine }) => {
  machine.moduleFiles = splitList(value);
};

export const readPoweroffCommand: SettingReader = (value, { end }, rules) => {
  end.poweroffCommand = checkEndCommand(value, rules);
};

export const readRebootCommand: SettingReader = (value, { end }, rules) => {
  end.rebootCommand = checkEndCommand(value, rules);
};

function splitList(value: string): string[] {
  return value.split(",").filter((word) => word !== "");
}

/** For boot2container no reason to refuse a job: its end comes in any case. */
function checkEndCommand(value: string, { warn, isStrict }: ReadingRules): string {
  try {
    parseEndCommands(parseText(value), showPipelineVariable);
  } catch (error) {
    if (isStrict) throw error;
    warn(`${explainValueError(error)}: the machine ends without it`);
  }
  return value;
}
