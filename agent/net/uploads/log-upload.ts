/**
 * Uploads the log by HTTP (docs/network-log.md): each part is one streaming request, POSTed to the URL, or PUT as a file below
 * a URL that ends in a slash. Nothing is retried here: the caller knows which lines the server has not accepted.
 */
import type { LogPart } from "../../wire/numbered-line.ts";
import { fetchBytes, type HttpClient } from "../http/http-message.ts";
import { createUploadRequest } from "./results-uploader.ts";

/** `token` is sent to the URL's host only. The upload throws UPLOAD_REFUSED and HTTP_… */
export function createLogUpload(http: HttpClient, { url, token }: { url: string; token?: string }) {
  const isFolder = new URL(url).pathname.endsWith("/");
  return async (part: LogPart, { signal }: { signal: AbortSignal }): Promise<void> => {
    const target = new URL(url);
    if (isFolder) target.pathname += part.name;
    await fetchBytes(http, target.href, {
      ...createUploadRequest(token),
      method: isFolder ? "PUT" : "POST",
      headers: {
        "content-type": "text/plain; charset=utf-8",
        "dutboot-boot": part.boot,
        "dutboot-first-line": String(part.firstNumber),
      },
      body: { stream: part.body },
      isIdempotent: false,
      signal,
    });
  };
}
