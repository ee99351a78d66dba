/**
 * Readers of option values: text in, value out, or an error that says what was wrong with the text.
 * They know nothing of options, so that every dialect and the host's commands read the same forms.
 */
import { AgentError } from "../../errors.ts";
import { showValue } from "../../redaction/patterns.ts";
import type { CacheChoice, S3Endpoint, S3Location } from "../job.ts";
import { findNearestName } from "./nearest-name.ts";

/** What is wrong with a value, as the end of "Cannot read …: it …". */
export class ValueError extends Error {}

export function parseUrl(text: string): URL {
  // URL drops white space and control characters without a word; in a job they are a mistake.
  const url = /[\x00-\x20\x7f]/.test(text) ? null : URL.parse(text);
  if (!url || (url.protocol !== "https:" && url.protocol !== "http:")) {
    throw new ValueError("is not a URL that starts with https:// or http://");
  }
  if (url.username || url.password) {
    throw new ValueError("holds a user name or password, which never go on the command line");
  }
  return url;
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
  if (text.split("/").includes("..")) throw new ValueError(`${has}, which holds ".."`);
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
  const prefix = (match[2] ?? "").replace(/^\/+|\/+$/g, "");
  return { bucket: match[1]!, prefix };
}

/** `[https://]HOST[:PORT][,region=R]`; a path stays for services that live below one. */
export function parseS3Endpoint(text: string): S3Endpoint {
  const { head, options } = splitSubOptions(text, ["region"]);
  const url = parseUrl(/^[a-z][a-z0-9+.-]*:\/\//i.test(head) ? head : `https://${head}`);
  if (url.search || url.hash) throw new ValueError("has more than a host and a path");
  const region = options.get("region") ?? "us-east-1";
  if (!/^[\w-]+$/.test(region)) throw new ValueError(`has "region=${showValue(region)}", which is no region`);
  return { url: url.href.replace(/\/+$/, ""), region };
}

/** `HOST[,HOST]`, in small letters as URLs have them. */
export function parseHosts(text: string): string[] {
  const hosts = text.split(",").filter((host) => host !== "");
  if (hosts.length === 0) throw new ValueError("names no host");
  return hosts.map(parseHost);
}

function parseHost(text: string): string {
  const [, port] = /^(?:\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+)(?::(\d{1,5}))?$/.exec(text) ?? refuseHost(text);
  if (port !== undefined && (Number(port) < 1 || Number(port) > 65_535)) refuseHost(text);
  return text.toLowerCase();
}

function refuseHost(text: string): never {
  throw new ValueError(`has "${showValue(text)}", which is not HOST or HOST:PORT`);
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
    const found = choices.find((choice) => choice === text);
    if (found !== undefined) return found;
    const near = findNearestName(text, choices, { maxShare: 1 / 2 });
    const guess = near === undefined ? "" : `; the nearest is "${near}"`;
    throw new ValueError(`is not one of ${choices.join(", ")}${guess}`);
  };
}

export function parseText(text: string): string {
  if (text === "") throw new ValueError("is empty");
  return text;
}

export function parseCache(text: string): CacheChoice {
  const [, kind, value] = /^(LABEL|UUID)=(.+)$/.exec(text) ?? [];
  if (kind === "LABEL") return { label: value! };
  if (kind === "UUID") return { uuid: value! };
  if (/^\/dev\/[\w/.:-]+$/.test(text)) return { device: text };
  if (text === "none" || text === "auto" || text === "reset") return text;
  throw new ValueError("is not none, auto, reset, LABEL=…, UUID=… or /dev/…");
}

/** 64 hex digits, as `fsverity digest` prints them; composefs's own prefix may stand in front. */
export function parseComposefsDigest(text: string): string {
  const match = /^(?:v1-sha256-12:|sha256:)?([0-9a-f]{64})$/.exec(text);
  if (!match) throw new ValueError("has a composefs digest that is not v1-sha256-12: and 64 hex digits");
  return match[1]!;
}

/** `10G` in bytes, or `80%` of the file system. */
export function parseQuota(text: string): { bytes: number } | { percent: number } {
  const percent = /^(\d{1,3})%$/.exec(text);
  if (percent && Number(percent[1]) >= 1 && Number(percent[1]) <= 100) return { percent: Number(percent[1]) };
  const size = /^(\d+(?:\.\d+)?)([KMGT])?$/.exec(text);
  const bytes = size ? Math.floor(Number(size[1]) * 1024 ** ("KMGT".indexOf(size[2] ?? "") + 1)) : 0;
  if (bytes <= 0) throw new ValueError("is not a size as 10G or a share as 80%");
  return { bytes };
}

/**
 * Known sub-options at the end of a value, `,name=value` each.
 * A tail that looks like a misspelled one is refused: taken as part of a URL it would only fail on the DUT.
 */
export function splitSubOptions(
  text: string,
  names: readonly string[],
): { head: string; options: Map<string, string> } {
  const options = new Map<string, string>();
  let head = text;
  for (;;) {
    const [, before, name, value] = /^(.*),([\w-]+)=([^,]*)$/s.exec(head) ?? [];
    if (before === undefined || !names.includes(name!)) {
      refuseMisspelledTail(head, names);
      return { head, options };
    }
    if (options.has(name!)) throw new ValueError(`has "${name}=" more than once`);
    options.set(name!, value!);
    head = before;
  }
}

function refuseMisspelledTail(head: string, names: readonly string[]): void {
  const [, before, tail, assigned] = /^(.*),\s*([\w-]+)(=[^,]*)?$/s.exec(head) ?? [];
  if (before === undefined) return;
  const isMeant =
    assigned === undefined ? names.includes(tail!) : !before.includes("?") || isNear(tail!, names);
  if (!isMeant) return;
  const known = names
    .map((name) => `${name}=`)
    .join(", ")
    .replace(/, ([^,]*)$/, " and $1");
  throw new ValueError(`ends in ",${tail}": known there are ${known}; a comma of a URL is written %2C`);
}

function isNear(wrong: string, names: readonly string[]): boolean {
  return findNearestName(wrong, names, { maxShare: 1 / 3 }) !== undefined;
}

/** Turns what a reader threw into the words of "Cannot read …: it …". */
export function explainValueError(error: unknown): string {
  if (error instanceof ValueError) return `it ${error.message}`;
  if (error instanceof AgentError) return error.message.replace(/^Cannot read [^"]*"[^"]*": /, "");
  throw error;
}
