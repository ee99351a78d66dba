/**
 * Results by HTTP PUT, each file at PREFIX/NAME, with the bearer token that gateways before an S3 service want.
 */
import type { HttpClient } from "./http-message.ts";
import { formatPublicUrl } from "./public-url.ts";
import { fetchWhole } from "./read-body.ts";
import type { S3Body, S3Client } from "./s3.ts";

/** As the upload phase wants it. */
export interface ResultsUploader {
  /** For the log, without secrets. */
  readonly place: string;
  /** `name` is the file's path below the results folder. Resolves when the place has it for good. */
  put(name: string, body: S3Body, options: { signal: AbortSignal }): Promise<void>;
}

/** What a server answers a PUT with is of no interest beyond its status. */
const ANSWER_MAX_BYTES = 1024 * 1024;

/** `prefix` is a URL without a slash at its end; `token` goes to its host alone. Throws UPLOAD_REFUSED and HTTP_… */
export function createPutResults(
  http: HttpClient,
  { prefix, token }: { prefix: string; token?: string },
): ResultsUploader {
  return {
    place: formatPublicUrl(prefix),
    async put(name, body, { signal }) {
      const url = `${prefix}/${name.split("/").map(encodeURIComponent).join("/")}`;
      await fetchWhole(http, url, {
        method: "PUT",
        headers: { "content-type": "application/octet-stream" },
        body,
        signal,
        maxBytes: ANSWER_MAX_BYTES,
        acceptsHtml: true,
        ...(token !== undefined && { authorize: async () => ({ authorization: `Bearer ${token}` }) }),
        explainError: ({ status }) =>
          status === 401 || status === 403
            ? {
                code: "UPLOAD_REFUSED",
                cameBack: `status ${status}${token === undefined ? ", and there is no token" : ""}`,
              }
            : undefined,
      });
    },
  };
}

/** Each file as an object `PREFIX/NAME`; the prefix may be empty. */
export function createS3Results(
  s3: S3Client,
  { bucket, prefix }: { bucket: string; prefix: string },
): ResultsUploader {
  return {
    place: `s3://${bucket}/${prefix}`,
    async put(name, body, { signal }) {
      await s3.putObject({ bucket, key: prefix ? `${prefix}/${name}` : name }, body, { signal });
    },
  };
}
