/**
 * Where a boot's results go, as a later boot may read it from a disk: without credentials, and never believed further than
 * this machine's own job reaches: whoever wrote the disk must not have the next job's credentials sent elsewhere.
 */
import type { Job, ResultsDestination } from "../job/job.ts";
import { hideSecrets } from "../redaction/patterns.ts";

export type JournaledDestination =
  | { kind: "s3"; url: string; bucket: string; prefix: string }
  | { kind: "put"; url: string }
  | { kind: "nfs"; server: string; path: string };

/** Null where there is none, or none that can be written down without a secret. */
export function describeDestination({
  results,
  s3,
}: Pick<Job, "results" | "s3">): JournaledDestination | null {
  if (!results) return null;
  const place = findPlace(results.to, s3?.url);
  if (!place) return null;
  const text = JSON.stringify(place);
  return hideSecrets(text) === text ? place : null;
}

function findPlace(to: ResultsDestination, s3Url: string | undefined): JournaledDestination | undefined {
  if ("put" in to) return { kind: "put", url: to.put };
  if ("nfs" in to) return { kind: "nfs", server: to.nfs.server, path: to.nfs.path };
  return s3Url === undefined ? undefined : { kind: "s3", url: s3Url, ...to.s3 };
}

/** The same place by the services that `job` uses; undefined where it uses others. */
export function resolveDestination(
  place: JournaledDestination,
  { results, s3 }: Pick<Job, "results" | "s3">,
): ResultsDestination | undefined {
  if (place.kind === "s3")
    return s3?.url === place.url ? { s3: { bucket: place.bucket, prefix: place.prefix } } : undefined;
  const to = results?.to;
  if (place.kind === "put") {
    const isSame = to && "put" in to && URL.parse(to.put)?.origin === URL.parse(place.url)?.origin;
    return isSame ? { put: place.url } : undefined;
  }
  const isSame = to && "nfs" in to && to.nfs.server === place.server;
  return isSame ? { nfs: { ...to.nfs, path: place.path } } : undefined;
}

const CONTROL = /[\x00-\x1f\x7f]/;
const TEXT_MAX_LENGTH = 2048;

/** Undefined for anything that is not what `describeDestination` makes. */
export function parseDestination(value: unknown): JournaledDestination | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const { kind, url, bucket, prefix, server, path } = value as Record<string, unknown>;
  if (kind === "s3" && isHttpUrl(url) && isBucket(bucket) && isText(prefix))
    return { kind, url, bucket, prefix };
  if (kind === "put" && isHttpUrl(url)) return { kind, url };
  if (kind === "nfs" && isText(server) && /^[\w.:[\]-]+$/.test(server) && isPath(path))
    return { kind, server, path };
  return undefined;
}

function isText(value: unknown): value is string {
  return typeof value === "string" && value.length <= TEXT_MAX_LENGTH && !CONTROL.test(value);
}

function isHttpUrl(value: unknown): value is string {
  const url = isText(value) ? URL.parse(value) : null;
  return url !== null && /^https?:$/.test(url.protocol) && url.username === "" && url.password === "";
}

function isBucket(value: unknown): value is string {
  return isText(value) && /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/.test(value);
}

function isPath(value: unknown): value is string {
  return isText(value) && value.startsWith("/") && !value.split("/").includes("..");
}
