/**
 * Archives by URL, whole or in parts: over HTTP(S), or from the job's S3 service.
 */
import { AgentError } from "../errors.ts";
import { createRangeReader, type RangeReader } from "./fetch-ranges.ts";
import type { HttpClient, HttpResponse } from "./http-message.ts";
import type { S3Client } from "./s3.ts";
import type { S3Object } from "./s3-request.ts";

export interface RemoteArchive {
  /** `hasDigest` as in HttpRequest. */
  open(options?: { hasDigest?: boolean; signal?: AbortSignal }): Promise<HttpResponse>;
  parts: RangeReader;
}

/** `url` is `http(s)://…` or `s3://BUCKET/KEY`; nothing is asked for yet. */
export type ArchiveOpener = (url: string) => RemoteArchive;

export function createArchiveOpener(http: HttpClient, s3?: S3Client): ArchiveOpener {
  return (url) => {
    const object = parseS3Url(url);
    if (!object) {
      return {
        open: (options) => http.fetch(url, options),
        parts: createRangeReader((fields, explainRefusal) =>
          http.fetch(url, { hasDigest: true, explainError: explainRefusal, ...fields }),
        ),
      };
    }
    if (!s3)
      throw new AgentError("CMDLINE_MISSING_OPTION", `Cannot fetch "${url}": the job names no S3 service`);
    return {
      open: (options) => s3.getObject(object, options),
      parts: createRangeReader((fields, explainRefusal) =>
        s3.getObject(object, { hasDigest: true, explainRefusal, ...fields }),
      ),
    };
  };
}

function parseS3Url(url: string): S3Object | undefined {
  const [, bucket, key] = /^s3:\/\/([^/]+)\/(.+)$/.exec(url) ?? [];
  return bucket !== undefined && key !== undefined ? { bucket, key } : undefined;
}
