/**
 * Results by HTTP PUT, each file at PREFIX/NAME, with the bearer token that gateways before an S3 service want.
 * What such a server keeps is told by an ETag that is an MD5, else by what it says to HEAD, as far as it knows that at all.
 */
import { AgentError } from "../../errors.ts";
import { fetchWhole } from "../http/fetch-whole.ts";
import type { HttpClient, HttpRequest } from "../http/http-message.ts";
import { formatPublicUrl } from "../http/public-url.ts";
import {
  createMismatch,
  hashBody,
  isContentEtag,
  type PutOptions,
  type ResultsUploader,
  type ResultUpload,
  readEtag,
} from "./results-uploader.ts";

/** What a server answers a PUT with is of no interest beyond its status and headers. */
const ANSWER_MAX_BYTES = 1024 * 1024;

/** `prefix` is a URL without a slash at its end; `token` goes to its host alone. Throws UPLOAD_… and HTTP_… */
export function createPutResults(
  http: HttpClient,
  { prefix, token }: { prefix: string; token?: string },
): ResultsUploader {
  const place = formatPublicUrl(prefix);
  const proof = token !== undefined && {
    authorize: async () => ({ authorization: `Bearer ${token}` }),
  };
  let answersHead = true;

  const request = (options: PutOptions, more: HttpRequest): HttpRequest => ({
    ...more,
    ...proof,
    ...options,
    acceptsHtml: true,
    // "Not Implemented" is as good a refusal as "Method Not Allowed".
    explainError: ({ status }) => (status === 501 ? { code: "HTTP_REJECTED" } : undefined),
  });

  /** Nothing where the server takes files and shows none. */
  const look = async (url: string, options: PutOptions): Promise<{ etag?: string; sizeBytes?: number }> => {
    if (!answersHead) return {};
    try {
      const { status, headers, discard } = await http.fetch(url, request(options, { method: "HEAD" }));
      discard();
      if (status !== 200) return {};
      const etag = readEtag(headers.etag);
      const length = headers["content-length"];
      return { etag: etag || undefined, ...(length !== undefined && { sizeBytes: Number(length) }) };
    } catch (error) {
      if (!isRefusal(error)) throw error;
      answersHead = false;
      return {};
    }
  };

  const readBack = async (url: string, options: PutOptions): Promise<string | undefined> => {
    try {
      const { body } = await http.fetch(url, request(options, { method: "GET" }));
      return await hashBody(body);
    } catch (error) {
      if (!isRefusal(error)) throw error;
      return undefined;
    }
  };

  const check = async (upload: ResultUpload, url: string, etag: string | undefined, options: PutOptions) => {
    if (etag === upload.md5) return;
    const seen = await look(url, options);
    if (seen.etag === upload.md5) return;
    if (seen.sizeBytes !== undefined && seen.sizeBytes !== upload.sizeBytes)
      throw createMismatch(upload, place, `${seen.sizeBytes} bytes of ${upload.sizeBytes}`);
    // It looks like the MD5 of something else; servers are free to mean something else by it.
    if (isContentEtag(etag) && (await readBack(url, options)) !== upload.sha256)
      throw createMismatch(upload, place, `other bytes, with the ETag "${etag}"`);
  };

  return {
    place,
    async put(upload, options) {
      const url = `${prefix}/${upload.name.split("/").map(encodeURIComponent).join("/")}`;
      const { response } = await fetchWhole(http, url, {
        ...request(options, {
          method: "PUT",
          headers: { "content-type": "application/octet-stream" },
          body: upload.body,
        }),
        maxBytes: ANSWER_MAX_BYTES,
        explainError: ({ status }) =>
          status === 401 || status === 403
            ? {
                code: "UPLOAD_REFUSED",
                cameBack: `status ${status}${token === undefined ? ", and there is no token" : ""}`,
              }
            : undefined,
      });
      await check(upload, url, readEtag(response.headers.etag), options);
    },
  };
}

const REFUSALS = new Set(["HTTP_UNAUTHORIZED", "HTTP_FORBIDDEN", "HTTP_NOT_FOUND", "HTTP_REJECTED"]);

/** The server answered that it will not say. */
function isRefusal(error: unknown): boolean {
  return error instanceof AgentError && REFUSALS.has(error.code);
}
