/**
 * `b2c.volume` and the S3 services that volumes are mirrored with.
 * Under the original's name two halves of a mirror are needed before anything is mirrored: a habit that farms may count on.
 */

import { showValue } from "../../redaction/patterns.ts";
import { MIRROR_CONDITIONS, type MirrorCondition, type S3Alias, type Volume } from "../volume.ts";
import {
  type ReadingRules,
  readSubParameters,
  reportUnknownKey,
  splitSubParameters,
} from "./sub-parameters.ts";
import { parseUrl, ValueError } from "./values.ts";

/** `NAME[,mirror=ALIAS/BUCKET[/PATH]][,…]` */
export function parseB2cVolume(text: string, rules: ReadingRules): Volume {
  const { head: name, parameters } = splitSubParameters(text);
  if (!/^[a-zA-Z0-9][\w.-]*$/.test(name)) throw new ValueError(`has "${showValue(name)}" as its name`);
  const volume: Volume = {
    name,
    expiration: "never",
    mirrorOptions: { overwrite: false, remove: false, preserve: false, exclude: [] },
    resetsFscryptKey: false,
  };
  const options = volume.mirrorOptions;
  let pullFrom: string | undefined;
  let pushTo: string | undefined;
  let pullOn: MirrorCondition[] = [];
  let pushOn: MirrorCondition[] = [];
  readSubParameters(
    parameters,
    {
      filesystem: (value) => {
        volume.fileSystem = value;
      },
      mirror: (value) => {
        pullFrom = value;
        pushTo = value;
      },
      pull_from: (value) => {
        pullFrom = value;
      },
      push_to: (value) => {
        pushTo = value;
      },
      pull_on: (value, key) => {
        pullOn = parseConditions(key, value, rules);
      },
      push_on: (value, key) => {
        pushOn = parseConditions(key, value, rules);
      },
      expiration: (value) => {
        if (value !== "never" && value !== "pipeline_end")
          throw new ValueError(`has "expiration=${showValue(value)}": known are never and pipeline_end`);
        volume.expiration = value;
      },
      overwrite: () => {
        options.overwrite = true;
      },
      remove: () => {
        options.remove = true;
      },
      exclude: (value) => {
        options.exclude.push(value);
      },
      encrypt_key: (value) => {
        options.encryptKey = value;
      },
      preserve: () => {
        options.preserve = true;
      },
      fscrypt_key: (value) => {
        volume.fscryptKey = value;
      },
      fscrypt_reset_key: () => {
        volume.resetsFscryptKey = true;
      },
    },
    rules,
  );
  const isWhole = pullFrom !== undefined && pushTo !== undefined;
  if (isWhole || rules.isStrict) {
    if (rules.isStrict && pullOn.length === 0 && pushOn.length === 0) {
      pullOn = ["pipeline_start"];
      pushOn = ["pipeline_end"];
    }
    if (pullFrom !== undefined) volume.pull = { ...parsePlace(pullFrom), on: pullOn };
    if (pushTo !== undefined) volume.push = { ...parsePlace(pushTo), on: pushOn };
  } else if (pullFrom !== undefined || pushTo !== undefined) {
    // Kept from the original: farms may count on one half doing nothing.
    rules.warn(`volume "${name}" is not mirrored: that takes both pull_from and push_to, or mirror`);
  }
  return volume;
}

function parseConditions(key: string, text: string, rules: ReadingRules): MirrorCondition[] {
  const conditions = text.split("|").flatMap((word) => {
    const known = MIRROR_CONDITIONS.find((condition) => condition === word);
    if (known === undefined) reportUnknownKey(`"${key}=${showValue(word)}"`, MIRROR_CONDITIONS, word, rules);
    return known ?? [];
  });
  if (!conditions.includes("changes") || conditions.length === 1) return conditions;
  rules.warn(`"${key}" has conditions beside "changes": they are ignored`);
  return ["changes"];
}

function parsePlace(text: string): { alias: string; bucket: string; prefix: string } {
  const [alias = "", bucket = "", ...rest] = text.split("/");
  if (alias === "" || bucket === "") {
    throw new ValueError(`has the place "${showValue(text)}", which is not ALIAS/BUCKET[/PATH]`);
  }
  return { alias, bucket, prefix: rest.filter((part) => part !== "").join("/") };
}

/** `ALIAS,URL,ACCESS_KEY,SECRET_KEY`; messages never show the keys. */
export function parseB2cMinio(text: string): S3Alias {
  const [name, url, accessKey, secretKey, ...rest] = text.split(",");
  if (!name || !url || !accessKey || !secretKey || rest.length > 0)
    throw new ValueError("is not ALIAS,URL,ACCESS_KEY,SECRET_KEY");
  return { name, url: parseUrl(url).href.replace(/\/+$/, ""), accessKey, secretKey };
}
