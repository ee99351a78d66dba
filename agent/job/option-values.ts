/**
 * Readers of option values: text in, value out, or an error that says what was wrong with the text.
 */

import { AgentError } from "../errors.ts";
import { parseImageReference } from "../oci/reference.ts";
import type { Artifact, CacheChoice, S3Endpoint, S3Location } from "./job.ts";

/** What is wrong with a value, as the end of "Cannot read …: it …". */
export class ValueError extends Error {}

export function parseImage(text: string) {
  return parseImageReference(text);
}

/** `URL[,to=/path][,sha256=HEX]`: told from the end by their names, so that a URL may hold commas. */
export function parseArtifact(text: string): Artifact {
  const { head, options } = splitSubOptions(text, ["to", "sha256"]);
  const to = options.get("to") ?? "/";
  const sha256 = options.get("sha256")?.toLowerCase();
  parseUrl(head);
  if (!to.startsWith("/")) throw new ValueError(`has "to=${to}", which is not an absolute path`);
  if (sha256 !== undefined && !/^[0-9a-f]{64}$/.test(sha256)) {
    throw new ValueError(`has "sha256=${sha256}", which is not 64 hex digits`);
  }
  return { url: head, to, ...(sha256 !== undefined && { sha256 }) };
}

export function parseUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (!url || (url.protocol !== "https:" && url.protocol !== "http:")) {
    throw new ValueError("is not a URL that starts with https:// or http://");
  }
  return url;
}

export function parseEnvironment(text: string): string {
  if (!/^[^=\0]+=/.test(text)) throw new ValueError("is not NAME=VALUE");
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

export function parseS3Endpoint(text: string): S3Endpoint {
  const { head, options } = splitSubOptions(text, ["region"]);
  const url = parseUrl(/^https?:\/\//.test(head) ? head : `https://${head}`);
  if (url.username || url.password)
    throw new ValueError("holds credentials, which never go on the command line");
  return { url: url.href.replace(/\/$/, ""), region: options.get("region") || "us-east-1" };
}

export function parseHosts(text: string): string[] {
  const hosts = text.split(",").filter((host) => host !== "");
  if (hosts.length === 0) throw new ValueError("names no host");
  for (const host of hosts) {
    if (!/^(\[[0-9a-fA-F:]+\]|[A-Za-z0-9.-]+)(:\d{1,5})?$/.test(host))
      throw new ValueError(`has "${host}", which is not HOST or HOST:PORT`);
  }
  return hosts;
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
    if (found === undefined) throw new ValueError(`is not one of ${choices.join(", ")}`);
    return found;
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

/** `10G` in bytes, or `80%` of the file system. */
export function parseQuota(text: string): { bytes: number } | { percent: number } {
  const percent = /^(\d{1,3})%$/.exec(text);
  if (percent && Number(percent[1]) >= 1 && Number(percent[1]) <= 100) return { percent: Number(percent[1]) };
  const size = /^(\d+(?:\.\d+)?)([KMGT])?$/.exec(text);
  const bytes = size ? Math.floor(Number(size[1]) * 1024 ** ("KMGT".indexOf(size[2] ?? "") + 1)) : 0;
  if (bytes <= 0) throw new ValueError("is not a size as 10G or a share as 80%");
  return { bytes };
}

/** Known sub-options at the end of a value, `,name=value` each. */
function splitSubOptions(
  text: string,
  names: readonly string[],
): { head: string; options: Map<string, string> } {
  const options = new Map<string, string>();
  let head = text;
  for (;;) {
    const match = new RegExp(`^(.*),(${names.join("|")})=([^,]*)$`).exec(head);
    if (!match) return { head, options };
    head = match[1]!;
    if (!options.has(match[2]!)) options.set(match[2]!, match[3]!);
  }
}

/** Turns what a reader threw into the words of "Cannot read …: it …". */
export function explainValueError(error: unknown): string {
  if (error instanceof ValueError) return `it ${error.message}`;
  if (error instanceof AgentError) return error.message.replace(/^Cannot read [^:]*: /, "");
  throw error;
}
