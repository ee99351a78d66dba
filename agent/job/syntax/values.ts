/**
 * Parsers of option values: text in, value out, or a ValueError that says what is wrong with the text.
 * They know no options, so all dialects and the host's commands share them.
 */
import { AgentError } from "../../errors.ts";
import { showValue } from "../../redaction/patterns.ts";
import type { CacheChoice, CacheQuota, S3Endpoint, S3Location } from "../job.ts";
import { findNearestName } from "./nearest-name.ts";

/** What is wrong with a value. The message completes "Cannot read …: it …". */
export class ValueError extends Error {}

/** Turns what a parser threw into the end of "Cannot read …: …". */
export function explainValueError(error: unknown): string {
  if (error instanceof ValueError) return `it ${error.message}`;
  if (error instanceof AgentError) return error.message.replace(/^Cannot read [^"]*"[^"]*": /, "");
  throw error;
}

export function parseUrl(text: string): URL {
  // URL silently drops white space and control characters; in a job they are a mistake.
  const url = /[\x00-\x20\x7f]/.test(text) ? null : URL.parse(text);
  if (!url || (url.protocol !== "https:" && url.protocol !== "http:")) {
    throw new ValueError("is not a URL that starts with https:// or http://");
  }
  if (url.username || url.password) {
    throw new ValueError("contains a user name or password, which do not belong on a command line");
  }
  return url;
}

/** A URL that paths are appended to. */
export function parseUrlPrefix(text: string): string {
  const url = parseUrl(text);
  if (url.search || url.hash) throw new ValueError("has more than a host and a path");
  return url.href.replace(/\/+$/, "");
}

/** Lower-case hex; `name` is for the message. */
export function parseSha256(name: string, text: string): string {
  if (!/^[0-9a-fA-F]{64}$/.test(text)) {
    throw new ValueError(`has "${name}=${showValue(text)}", which is not 64 hex digits`);
  }
  return text.toLowerCase();
}

export function parseAbsolutePath(text: string, has: string): string {
  if (!text.startsWith("/")) throw new ValueError(`${has}, which is not an absolute path`);
  if (text.split("/").includes("..")) throw new ValueError(`${has}, which contains ".."`);
  return text;
}

export function parseEnvironment(text: string): string {
  if (!/^[^=\s\0]+=/.test(text)) throw new ValueError("is not NAME=VALUE");
  return text;
}

export function parseS3Location(text: string): S3Location {
  const match = /^s3:\/\/([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:\/(.*))?$/.exec(text);
  if (!match)
    throw new ValueError(
      "is not s3://BUCKET/PREFIX with a bucket of 3 to 63 lower-case letters, digits, dots and dashes",
    );
  return { bucket: match[1]!, prefix: (match[2] ?? "").replace(/^\/+|\/+$/g, "") };
}

/** `[https://]HOST[:PORT][/PATH][,region=R]` */
export function parseS3Endpoint(text: string): S3Endpoint {
  const { head, options } = splitSubOptions(text, ["region"]);
  const url = parseUrlPrefix(/^[a-z][a-z0-9+.-]*:\/\//i.test(head) ? head : `https://${head}`);
  const region = options.get("region") ?? "us-east-1";
  if (!/^[\w-]+$/.test(region))
    throw new ValueError(`has "region=${showValue(region)}", which is not a region`);
  return { url, region };
}

/** `HOST[,HOST]` in lower case, as URLs have them. */
export function parseHosts(text: string): string[] {
  const hosts = splitList(text);
  if (hosts.length === 0) throw new ValueError("names no host");
  return hosts.map((host) => {
    const match = /^(?:\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+)(?::(\d{1,5}))?$/.exec(host);
    const port = Number(match?.[1] ?? 1);
    if (!match || port < 1 || port > 65_535)
      throw new ValueError(`has "${showValue(host)}", which is not HOST or HOST:PORT`);
    return host.toLowerCase();
  });
}

export function splitList(text: string, separator = ","): string[] {
  return text.split(separator).filter((word) => word !== "");
}

const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** `90s`, `15m`, `1h30m`. */
export function parseDuration(text: string): number {
  if (!/^(\d+(ms|s|m|h|d))+$/.test(text))
    throw new ValueError("is not a number with a unit: 90s, 15m, 2h, 1h30m");
  const parts = text.matchAll(/(\d+)(ms|s|m|h|d)/g);
  const sumMs = [...parts].reduce((sum, [, count, unit]) => sum + Number(count) * UNIT_MS[unit!]!, 0);
  // setTimeout counts in 31 bits: a longer wait would end at once.
  if (sumMs === 0 || sumMs > 0x7fff_ffff) throw new ValueError("is not between 1ms and 24d");
  return sumMs;
}

export function parseChoice<Choice extends string>(choices: readonly Choice[]): (text: string) => Choice {
  return (text) => {
    const known = choices.find((choice) => choice === text);
    if (known !== undefined) return known;
    const near = findNearestName(text, choices, { maxShare: 1 / 2 });
    const guess = near === undefined ? "" : `; the nearest is "${near}"`;
    throw new ValueError(`is not one of ${choices.join(", ")}${guess}`);
  };
}

export function parseYesOrNo(text: string): boolean {
  return parseChoice(["yes", "no"])(text) === "yes";
}

const SLEEP_UNIT_S: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400 };

/** The argument of `sleep` in seconds, as boot2container passes it on: `15`, `0.5`, `2m`; undefined for anything else. */
export function parseSleepSeconds(text: string): number | undefined {
  const [, number, unit = "s"] = /^(\d{1,6}(?:\.\d{1,6})?)([smhd])?$/.exec(text) ?? [];
  return number === undefined ? undefined : Number(number) * SLEEP_UNIT_S[unit]!;
}

export function parseWholeNumber(text: string, { max }: { max: number }): number {
  if (!/^\d+$/.test(text) || Number(text) > max)
    throw new ValueError(`has "${showValue(text)}", which is not a whole number up to ${max}`);
  return Number(text);
}

/** `16g`, `8G`, `64MiB`, `512k`, `4096` in bytes; units are powers of 1,024. */
export function parseSize(text: string): number {
  const bytes = readSize(text);
  if (bytes !== undefined) return bytes;
  throw new ValueError(
    `has the size "${showValue(text)}", which is not a number with an optional unit K, M, G or T`,
  );
}

function readSize(text: string): number | undefined {
  const [, number, unit = "b"] = /^(\d+(?:\.\d+)?)(?:([bkmgt])(?:i?b)?)?$/i.exec(text) ?? [];
  const bytes = Math.floor(Number(number) * 1024 ** "bkmgt".indexOf(unit.toLowerCase()));
  return bytes >= 1 && Number.isSafeInteger(bytes) ? bytes : undefined;
}

/** A size in bytes, or `80%` of the file system. */
export function parseQuota(text: string): CacheQuota {
  if (/^([1-9]\d?|100)%$/.test(text)) return { percent: Number.parseInt(text, 10) };
  const bytes = readSize(text);
  if (bytes === undefined) throw new ValueError("is neither a size such as 10G nor a share such as 80%");
  return { bytes };
}

export function parseCache(text: string): CacheChoice {
  const [, kind, value] = /^(LABEL|UUID)=(.+)$/.exec(text) ?? [];
  if (kind === "LABEL") return { label: value! };
  if (kind === "UUID") return { uuid: value! };
  if (/^\/dev\/[\w/.:-]+$/.test(text)) return { device: text };
  if (text === "none" || text === "auto" || text === "reset") return text;
  throw new ValueError("is not none, auto, reset, LABEL=…, UUID=…, /dev/… or FILESYSTEM=…");
}

/** 64 hex digits, as `fsverity digest` prints them, with composefs's prefix or without. */
export function parseComposefsDigest(text: string): string {
  const match = /^(?:v1-sha256-12:|sha256:)?([0-9a-f]{64})$/.exec(text);
  if (!match) throw new ValueError("has a composefs digest that is not v1-sha256-12: and 64 hex digits");
  return match[1]!;
}

/**
 * Splits known sub-options, `,name=value` each, from the end of a value.
 * Refuses an end that looks like a misspelled one: as part of a URL it would fail only on the DUT.
 */
export function splitSubOptions(
  text: string,
  names: readonly string[],
): { head: string; options: Map<string, string> } {
  const options = new Map<string, string>();
  let head = text;
  for (;;) {
    const [, before, name, value] = /^(.*),([\w-]+)=([^,]*)$/s.exec(head) ?? [];
    if (before === undefined || !names.includes(name!)) break;
    if (options.has(name!)) throw new ValueError(`has "${name}=" more than once`);
    options.set(name!, value!);
    head = before;
  }
  const [, before, tail, assigned] = /^(.*),\s*([\w-]+)(=[^,]*)?$/s.exec(head) ?? [];
  if (before === undefined) return { head, options };
  const isNear = findNearestName(tail!, names, { maxShare: 1 / 3 }) !== undefined;
  const isMisspelled = assigned === undefined ? names.includes(tail!) : !before.includes("?") || isNear;
  if (!isMisspelled) return { head, options };
  const known = names
    .map((name) => `${name}=`)
    .join(", ")
    .replace(/, ([^,]*)$/, " and $1");
  throw new ValueError(`ends in ",${tail}", but only ${known} are known; write a comma in a URL as %2C`);
}
