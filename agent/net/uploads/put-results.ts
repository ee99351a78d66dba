/**
 * Uploads results by HTTP PUT, each file to PREFIX/NAME, with the bearer token that gateways of S3 services expect.
 * What the server stored is checked by an ETag that is an MD5, else by its response to HEAD, as far as it supports that.
 */
import { type ErrorResponse, fetchBytes, type HttpClient, type HttpRequest } from "../http/http-message.ts";
import { formatPublicUrl } from "../http/url-policy.ts";
import {
  createMismatch,
  createUploadRequest,
  hasCode,
  hashStored,
  isContentEtag,
  type PutOptions,
  type ResultsUploader,
} from "./results-uploader.ts";

/** The server does not let us see the file. */
const REFUSALS = ["HTTP_UNAUTHORIZED", "HTTP_FORBIDDEN", "HTTP_NOT_FOUND", "HTTP_REJECTED"] as const;

/** `prefix` is a URL without a slash at its end; `token` is sent to its host only. Throws UPLOAD_… and HTTP_… */
export function createPutResults(
  http: HttpClient,
  { prefix, token }: { prefix: string; token?: string },
): ResultsUploader {
  const destination = formatPublicUrl(prefix);
  const { maxBytes, ...common } = createUploadRequest(token);
  let supportsHead = true;

  const requestBack = (method: "HEAD" | "GET", options: PutOptions): HttpRequest => ({
    ...common,
    ...options,
    method,
    // "Not Implemented" is as final a refusal as "Method Not Allowed".
    explainError: ({ status }: ErrorResponse) => (status === 501 ? { code: "HTTP_REJECTED" } : undefined),
  });

  /** Empty when the server accepts files but does not show them. */
  const look = async (url: string, options: PutOptions): Promise<{ etag?: string; sizeBytes?: number }> => {
    if (!supportsHead) return {};
    try {
      const { status, headers, discard } = await http.fetch(url, requestBack("HEAD", options));
      discard();
      if (status !== 200) return {};
      const length = headers["content-length"];
      const sizeBytes = length === undefined ? undefined : Number(length);
      return { etag: parseEtag(headers.etag) || undefined, sizeBytes };
    } catch (error) {
      if (!hasCode(error, REFUSALS)) throw error;
      supportsHead = false;
      return {};
    }
  };

  return {
    destination,
    async put(upload, options) {
      const url = `${prefix}/${upload.name.split("/").map(encodeURIComponent).join("/")}`;
      const { headers } = await fetchBytes(http, url, {
        ...common,
        ...options,
        method: "PUT",
        headers: { "content-type": "application/octet-stream" },
        body: upload.body,
        maxBytes,
      });
      const etag = parseEtag(headers.etag);
      if (etag === upload.md5) return;
      const stored = await look(url, options);
      if (stored.etag === upload.md5) return;
      if (stored.sizeBytes !== undefined && stored.sizeBytes !== upload.sizeBytes)
        throw createMismatch(upload, destination, `${stored.sizeBytes} of ${upload.sizeBytes} bytes`);
      // It looks like the MD5 of something else, but servers are free to give it another meaning.
      if (!isContentEtag(etag)) return;
      const sha256 = await hashStored(() => http.fetch(url, requestBack("GET", options)), REFUSALS);
      if (sha256 !== upload.sha256)
        throw createMismatch(upload, destination, `other bytes, with the ETag "${etag}"`);
    },
  };
}

/** Without the quotes and the mark of a weak one. */
function parseEtag(header: string | undefined): string | undefined {
  return header === undefined ? undefined : /^(?:W\/)?"?([^"]*)"?$/.exec(header)?.[1];
}
