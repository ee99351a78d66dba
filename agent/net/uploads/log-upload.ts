/**
 * The log by HTTP, as docs/network-log.md has it: one streaming request a part, POSTed to the URL, or PUT below one that ends in a
 * slash, as a file of its own. Nothing is repeated here: whoever gives the parts knows what was not taken.
 */

import { fetchWhole } from "../http/fetch-whole.ts";
import type { HttpClient } from "../http/http-message.ts";

/** What a server answers with is of no interest beyond its status. */
const ANSWER_MAX_BYTES = 1024 * 1024;

interface LogPart {
  name: string;
  boot: string;
  firstNumber: number;
  body: AsyncIterable<Buffer>;
}

/** `token` goes to the URL's host alone. Throws UPLOAD_REFUSED and HTTP_… */
export function createLogUpload(
  http: HttpClient,
  { url, token }: { url: string; token?: string },
): (part: LogPart, options: { signal: AbortSignal }) => Promise<void> {
  const isFolder = new URL(url).pathname.endsWith("/");
  const placePart = (name: string): string => {
    const place = new URL(url);
    if (isFolder) place.pathname += name;
    return place.href;
  };
  return async ({ name, boot, firstNumber, body }, { signal }) => {
    await fetchWhole(http, placePart(name), {
      method: isFolder ? "PUT" : "POST",
      headers: {
        "content-type": "text/plain; charset=utf-8",
        "dutboot-boot": boot,
        "dutboot-first-line": String(firstNumber),
      },
      body: { stream: body },
      isIdempotent: false,
      signal,
      maxBytes: ANSWER_MAX_BYTES,
      acceptsHtml: true,
      ...(token !== undefined && {
        authorize: async ({ challenge }) => (challenge ? undefined : { authorization: `Bearer ${token}` }),
      }),
      explainError: ({ status }) =>
        status === 401 || status === 403
          ? {
              code: "UPLOAD_REFUSED",
              cameBack: `status ${status}${token === undefined ? ", and there is no token" : ""}`,
            }
          : undefined,
    });
  };
}
