/**
 * The HTTP client against misbehaving servers: each download is complete, byte for byte, or ends with an error code.
 */
import { createHash, randomBytes } from "node:crypto";
import { describe, expect, test } from "vitest";
import type { ErrorCode } from "../../../../agent/errors.ts";
import type { HttpRequest } from "../../../../agent/net/http/http-client.ts";
import {
  answer,
  type Behaviour,
  redirect,
  reset,
  serveFile,
  speakGarbage,
  startServer,
  stayQuiet,
  trickle,
} from "../../../servers/misbehaving-server.ts";
import { CONTENT, createClient, download, ETAG, hash, OTHER, serve } from "../http-downloads.ts";

describe("a download succeeds after", () => {
  const broken = { after: 1_000_000, fault: "reset" } as const;
  const cases: {
    name: string;
    behaviours: Behaviour[];
    request?: HttpRequest;
    expected?: Buffer;
    /** The Range header of each request. */
    ranges?: (string | undefined)[];
    ifRanges?: (string | undefined)[];
  }[] = [
    { name: "a healthy server", behaviours: [serveFile(CONTENT)], ranges: [undefined] },
    { name: "no Content-Length", behaviours: [serveFile(CONTENT, { isChunked: true })] },
    { name: "an empty file", behaviours: [serveFile(Buffer.alloc(0))], expected: Buffer.alloc(0) },
    {
      name: "a reset in the body, with a strong ETag",
      behaviours: [serveFile(CONTENT, { etag: ETAG, ...broken }), serveFile(CONTENT, { etag: ETAG })],
      ranges: [undefined, "resumed"],
      ifRanges: [undefined, ETAG],
    },
    {
      name: "a reset in the body, without ETag, with a digest",
      behaviours: [serveFile(CONTENT, broken), serveFile(CONTENT)],
      request: { hasDigest: true },
      ranges: [undefined, "resumed"],
    },
    {
      name: "a reset in the body, without ETag and digest: from the start, compared",
      behaviours: [serveFile(CONTENT, broken), serveFile(CONTENT)],
      ranges: [undefined, undefined],
    },
    {
      name: "a reset in the body, with a weak ETag only: from the start",
      behaviours: [
        serveFile(CONTENT, { etag: 'W/"one"', ...broken }),
        serveFile(CONTENT, { etag: 'W/"one"' }),
      ],
      ranges: [undefined, undefined],
    },
    {
      name: "three resets in a row",
      behaviours: [
        serveFile(CONTENT, { etag: ETAG, ...broken }),
        serveFile(CONTENT, { etag: ETAG, after: 500_000, fault: "reset" }),
        serveFile(CONTENT, { etag: ETAG, after: 500_000, fault: "reset" }),
        serveFile(CONTENT, { etag: ETAG }),
      ],
      ranges: [undefined, "resumed", "resumed", "resumed"],
    },
    {
      name: "a body cut short against its Content-Length",
      behaviours: [
        serveFile(CONTENT, { etag: ETAG, after: 1_000_000, fault: "end" }),
        serveFile(CONTENT, { etag: ETAG }),
      ],
      ranges: [undefined, "resumed"],
    },
    {
      name: "a chunked body cut short",
      behaviours: [
        serveFile(CONTENT, { etag: ETAG, isChunked: true, after: 1_000_000, fault: "end" }),
        serveFile(CONTENT, { etag: ETAG }),
      ],
      ranges: [undefined, "resumed"],
    },
    {
      name: "silence in the body",
      behaviours: [
        serveFile(CONTENT, { etag: ETAG, after: 1_000_000, fault: "silence" }),
        serveFile(CONTENT, { etag: ETAG }),
      ],
      ranges: [undefined, "resumed"],
    },
    { name: "silence before the headers", behaviours: [stayQuiet, serveFile(CONTENT)] },
    { name: "a trickle", behaviours: [trickle(CONTENT, 100, 20), serveFile(CONTENT)] },
    {
      name: "200 instead of 206 on resuming",
      behaviours: [
        serveFile(CONTENT, { etag: ETAG, ...broken }),
        serveFile(CONTENT, { etag: ETAG, ignoresRange: true }),
      ],
    },
    {
      name: "200 with another ETag but the same bytes (two servers behind one name)",
      behaviours: [serveFile(CONTENT, { etag: ETAG, ...broken }), serveFile(CONTENT, { etag: '"two"' })],
    },
    {
      name: "206 with another ETag although If-Range forbids it, same bytes",
      behaviours: [
        serveFile(CONTENT, { etag: ETAG, ...broken }),
        serveFile(CONTENT, { etag: '"two"', ignoresIfRange: true }),
      ],
      ranges: [undefined, "resumed", undefined],
    },
    {
      name: "a range other than the requested one",
      behaviours: [
        serveFile(CONTENT, { etag: ETAG, ...broken }),
        serveFile(CONTENT, { etag: ETAG, sliceShift: 7 }),
      ],
      ranges: [undefined, "resumed", undefined],
    },
    { name: "503 with Retry-After", behaviours: [answer(503, { "retry-after": "0" }), serveFile(CONTENT)] },
    {
      name: "503 with an absurd Retry-After",
      behaviours: [answer(503, { "retry-after": "86400" }), serveFile(CONTENT)],
    },
    {
      name: "503 with a garbled Retry-After",
      behaviours: [answer(503, { "retry-after": "soon" }), serveFile(CONTENT)],
    },
    {
      name: "429 with a date",
      behaviours: [
        answer(429, { "retry-after": new Date(Date.now() + 86_400_000).toUTCString() }),
        serveFile(CONTENT),
      ],
    },
    { name: "500, 502, 504", behaviours: [answer(500), answer(502), answer(504), serveFile(CONTENT)] },
    { name: "resets before the headers", behaviours: [reset, reset, serveFile(CONTENT)] },
    { name: "garbage once", behaviours: [speakGarbage, serveFile(CONTENT)] },
    {
      name: "a range",
      behaviours: [serveFile(CONTENT)],
      request: { range: { start: 100, end: 300 } },
      expected: CONTENT.subarray(100, 300),
      ranges: ["bytes=100-299"],
    },
    {
      name: "an open range",
      behaviours: [serveFile(CONTENT)],
      request: { range: { start: 2_999_990, end: Number.POSITIVE_INFINITY } },
      expected: CONTENT.subarray(2_999_990),
    },
    {
      name: "a range from a server without support for ranges",
      behaviours: [serveFile(CONTENT, { ignoresRange: true })],
      request: { range: { start: 1_000, end: 2_000_001 } },
      expected: CONTENT.subarray(1_000, 2_000_001),
    },
    {
      name: "a range that is interrupted",
      behaviours: [serveFile(CONTENT, { etag: ETAG, ...broken }), serveFile(CONTENT, { etag: ETAG })],
      request: { range: { start: 10, end: 2_500_001 } },
      expected: CONTENT.subarray(10, 2_500_001),
      ranges: ["bytes=10-2500000", "resumed"],
    },
    {
      name: "a range that is interrupted, without ETag and digest",
      behaviours: [serveFile(CONTENT, broken), serveFile(CONTENT)],
      request: { range: { start: 10, end: 2_500_001 } },
      expected: CONTENT.subarray(10, 2_500_001),
      ranges: ["bytes=10-2500000", "bytes=10-2500000"],
    },
    {
      name: "a range that is interrupted and continues with a 200",
      behaviours: [serveFile(CONTENT, broken), serveFile(CONTENT, { ignoresRange: true })],
      request: { range: { start: 10, end: 2_500_001 } },
      expected: CONTENT.subarray(10, 2_500_001),
    },
    {
      name: "text/html that is not a page",
      behaviours: [serveFile(CONTENT, { type: "text/html" })],
    },
  ];
  test.each(cases)("$name", async ({ behaviours, request, expected = CONTENT, ranges, ifRanges }) => {
    const server = await serve(behaviours);
    const outcome = await download(`${server.origin}/file`, request);
    expect(outcome.code, outcome.error?.message).toBeUndefined();
    expect(hash(outcome.bytes)).toBe(hash(expected));
    if (outcome.sizeBytes !== undefined) expect(outcome.sizeBytes).toBe(expected.length);
    if (ranges) {
      const isFirst = (index: number) => index === 0;
      const seen = server.requests.map(({ headers }, index) =>
        ranges[index] === "resumed" && !isFirst(index) && headers.range && headers.range !== ranges[0]
          ? "resumed"
          : headers.range,
      );
      expect(seen).toEqual(ranges);
    }
    if (ifRanges) expect(server.requests.map(({ headers }) => headers["if-range"])).toEqual(ifRanges);
  });
});

describe("a download fails after", () => {
  const broken = { after: 1_000_000, fault: "reset" } as const;
  const cases: {
    name: string;
    behaviours: Behaviour[];
    request?: HttpRequest;
    code: ErrorCode;
    requests?: number;
  }[] = [
    { name: "401", behaviours: [answer(401)], code: "HTTP_UNAUTHORIZED", requests: 1 },
    { name: "403", behaviours: [answer(403)], code: "HTTP_FORBIDDEN", requests: 1 },
    { name: "404", behaviours: [answer(404)], code: "HTTP_NOT_FOUND", requests: 1 },
    { name: "410", behaviours: [answer(410)], code: "HTTP_NOT_FOUND", requests: 1 },
    { name: "400", behaviours: [answer(400)], code: "HTTP_REJECTED", requests: 1 },
    { name: "501", behaviours: [answer(501)], code: "HTTP_SERVER_ERROR", requests: 1 },
    { name: "500 on every attempt", behaviours: [answer(500)], code: "HTTP_SERVER_ERROR" },
    {
      name: "503 with a long Retry-After on every attempt",
      behaviours: [answer(503, { "retry-after": "9999" })],
      code: "HTTP_SERVER_ERROR",
    },
    { name: "endless silence", behaviours: [stayQuiet], code: "FETCH_STALLED" },
    {
      name: "endless silence in the body",
      behaviours: [serveFile(CONTENT, { after: 100, fault: "silence" })],
      code: "FETCH_STALLED",
    },
    { name: "an endless trickle", behaviours: [trickle(CONTENT, 100, 20)], code: "FETCH_TOO_SLOW" },
    { name: "endless resets", behaviours: [reset], code: "FETCH_INTERRUPTED" },
    { name: "endless garbage", behaviours: [speakGarbage], code: "FETCH_BAD_RESPONSE" },
    {
      name: "a file that changed, shown by its ETag",
      behaviours: [serveFile(CONTENT, { etag: ETAG, ...broken }), serveFile(OTHER, { etag: '"two"' })],
      code: "FETCH_CHANGED",
    },
    {
      name: "a file that changed, of the same size and without ETag",
      behaviours: [serveFile(CONTENT, broken), serveFile(OTHER)],
      code: "FETCH_CHANGED",
    },
    {
      name: "a file that changed, of another size",
      behaviours: [
        serveFile(CONTENT, { etag: ETAG, ...broken }),
        serveFile(OTHER.subarray(1), { etag: '"two"' }),
      ],
      code: "FETCH_CHANGED",
    },
    {
      name: "a file that became shorter than the delivered part",
      behaviours: [
        serveFile(CONTENT, { isChunked: true, ...broken }),
        serveFile(CONTENT.subarray(0, 500), { isChunked: true }),
      ],
      request: { hasDigest: true },
      code: "FETCH_INTERRUPTED",
    },
    {
      name: "a range beyond the end",
      behaviours: [serveFile(CONTENT)],
      request: { range: { start: 3_000_000, end: Number.POSITIVE_INFINITY } },
      code: "FETCH_WRONG_RANGE",
      requests: 1,
    },
    {
      name: "a range beyond the end from a server without support for ranges",
      behaviours: [serveFile(CONTENT, { ignoresRange: true })],
      request: { range: { start: 3_000_000, end: Number.POSITIVE_INFINITY } },
      code: "FETCH_WRONG_RANGE",
    },
    {
      name: "an HTML page",
      behaviours: [
        answer(
          200,
          { "content-type": "text/html; charset=utf-8" },
          "\n<!DOCTYPE html><title>Sign in</title>",
        ),
      ],
      code: "HTTP_UNEXPECTED_PAGE",
      requests: 1,
    },
    {
      name: "a Content-Length above the limit",
      behaviours: [serveFile(CONTENT)],
      request: { maxBytes: 1000 },
      code: "FETCH_TOO_LARGE",
      requests: 1,
    },
    {
      name: "a body above the limit, without Content-Length",
      behaviours: [serveFile(CONTENT, { isChunked: true })],
      request: { maxBytes: 1000 },
      code: "FETCH_TOO_LARGE",
      requests: 1,
    },
    {
      name: "a redirect loop",
      behaviours: [redirect("/file")],
      code: "FETCH_REDIRECT_REFUSED",
      requests: 2,
    },
    {
      name: "endless redirects",
      behaviours: Array.from({ length: 20 }, (_, index) => redirect(`/${index}`)),
      code: "FETCH_REDIRECT_REFUSED",
    },
    {
      name: "a redirect to file:",
      behaviours: [redirect("file:///etc/shadow")],
      code: "FETCH_REDIRECT_REFUSED",
    },
    {
      name: "a redirect to an invalid URL",
      behaviours: [redirect("http://[")],
      code: "FETCH_REDIRECT_REFUSED",
    },
    {
      name: "a redirect to the metadata address",
      behaviours: [redirect("https://169.254.169.254/latest/")],
      code: "FETCH_REDIRECT_REFUSED",
    },
    {
      name: "a redirect to plain HTTP elsewhere",
      behaviours: [redirect("http://elsewhere.invalid/")],
      code: "FETCH_REDIRECT_REFUSED",
    },
    { name: "an unexpected 304", behaviours: [answer(304)], code: "FETCH_BAD_RESPONSE" },
    {
      name: "an interrupted POST",
      behaviours: [reset],
      request: { method: "POST", body: Buffer.from("x") },
      code: "FETCH_INTERRUPTED",
      requests: 1,
    },
  ];
  test.each(cases)("$name", async ({ behaviours, request, code, requests }) => {
    const server = await serve(behaviours);
    const outcome = await download(`${server.origin}/file?token=secret`, request);
    expect(outcome.code, outcome.error?.message).toBe(code);
    expect(outcome.error?.message).not.toContain("secret");
    if (requests !== undefined) expect(server.requests).toHaveLength(requests);
  });

  test("a host without a server is reported within the first-contact budget", async () => {
    const server = await startServer(stayQuiet);
    await server.close();
    const startedMs = performance.now();
    const { code, error } = await download(`${server.origin}/file`);
    expect(code).toBe("FETCH_UNREACHABLE");
    expect(error?.blame).toBe("infra");
    expect(performance.now() - startedMs).toBeLessThan(1_200);
  });

  test("a host name that does not exist is reported", async () => {
    const { code } = await download("https://no-such-host.invalid/file");
    expect(code).toBe("FETCH_UNREACHABLE");
  });

  test.each([
    "ftp://127.0.0.1/x",
    "file:///etc/passwd",
    "/relative",
    "https://user:secret@127.0.0.1/x",
    "https://",
  ])("the URL is refused: %s", async (url) => {
    const { code, error } = await download(url);
    expect(code).toBe("FETCH_BAD_URL");
    expect(error?.message).not.toContain("secret");
  });
});
describe("time", () => {
  test("a slow reader is not reported as a stalled server", async () => {
    const server = await serve(serveFile(CONTENT));
    const { http, lines } = createClient();
    const { body } = await http.fetch(`${server.origin}/file`);
    const digest = createHash("sha256");
    let pauses = 0;
    for await (const chunk of body) {
      digest.update(chunk);
      if (pauses++ < 3) await new Promise((resolve) => setTimeout(resolve, 400));
    }
    expect(digest.digest("hex")).toBe(hash(CONTENT));
    expect(lines).toEqual([]);
  });

  test("retries are logged, without the query of the URL", async () => {
    const server = await serve([answer(503), serveFile(CONTENT)]);
    const client = createClient();
    await download(`${server.origin}/file?token=secret`, {}, client);
    expect(client.lines).toHaveLength(1);
    expect(client.lines[0]).toContain("status 503");
    expect(client.lines[0]).toContain("/file");
    expect(client.lines[0]).not.toContain("secret");
  });

  test.each([
    {
      when: "while it waits for a retry",
      behaviour: answer(503, { "retry-after": "9" }),
      limits: { maxRetryAfterMs: 9_000, budgetMs: 20_000 },
    },
    { when: "before the headers", behaviour: stayQuiet, limits: { silenceMs: 9_000, windowMs: 9_000 } },
    {
      when: "mid-body",
      behaviour: serveFile(CONTENT, { after: 100, fault: "silence" as const }),
      limits: { silenceMs: 9_000, windowMs: 9_000 },
    },
  ])(
    "the caller's signal aborts the request $when, with the caller's reason",
    async ({ behaviour, limits }) => {
      const server = await serve(behaviour);
      const stop = new AbortController();
      const reason = new Error("deadline");
      setTimeout(() => stop.abort(reason), 100);
      const startedMs = performance.now();
      const client = createClient({ retry: limits });
      await expect(download(`${server.origin}/file`, { signal: stop.signal }, client)).rejects.toBe(reason);
      expect(performance.now() - startedMs).toBeLessThan(2_000);
    },
  );

  test("an upload is repeated completely", async () => {
    const body = randomBytes(1_000_000);
    const server = await serve([reset, answer(503), answer(200)]);
    await download(`${server.origin}/file`, { method: "PUT", body });
    expect(server.requests).toHaveLength(3);
    expect(hash(server.requests[2]?.body)).toBe(hash(body));
  });

  test("several ranges are returned as the server sends them, with retries before the first byte only", async () => {
    const multipart = answer(206, { "content-type": "multipart/byteranges; boundary=x" }, "--x\r\n");
    const server = await serve([answer(503), multipart]);
    const ranges = [
      { start: 0, end: 10 },
      { start: 90, end: Number.POSITIVE_INFINITY },
    ];
    const outcome = await download(`${server.origin}/file`, { ranges });
    expect(outcome.bytes?.toString()).toBe("--x\r\n");
    expect(server.requests.map(({ headers }) => headers.range)).toEqual(["bytes=0-9,90-", "bytes=0-9,90-"]);
    const breaking = await serve(serveFile(CONTENT, { ignoresRange: true, after: 1000, fault: "reset" }));
    expect((await download(`${breaking.origin}/file`, { ranges })).code).toBe("FETCH_INTERRUPTED");
    expect(breaking.requests).toHaveLength(1);
  });

  test("the response to a range has the size of the whole file", async () => {
    const server = await serve(serveFile(CONTENT));
    const { http } = createClient();
    const response = await http.fetch(`${server.origin}/file`, { range: { start: 0, end: 1 } });
    expect(response).toMatchObject({ status: 206, sizeBytes: 1, totalBytes: CONTENT.length });
    response.discard();
  });

  const unending =
    (status: number, headers: Record<string, string> = {}): Behaviour =>
    (_request, response) => {
      response.writeHead(status, { "content-length": "100", ...headers }).write("some");
    };

  test("a redirect whose body never ends is a stall", async () => {
    const server = await serve(unending(302, { location: "/other" }));
    expect((await download(`${server.origin}/file`)).code).toBe("FETCH_STALLED");
  });

  test("an error whose body never ends still has its status", async () => {
    const server = await serve(unending(404));
    const explainError = ({ body }: { body: Buffer }) => ({ reason: `"${body}"` });
    const { code, error } = await download(`${server.origin}/file`, { explainError });
    expect(code).toBe("HTTP_NOT_FOUND");
    expect(error?.message).toContain('"some"');
  });

  test("a discarded response frees its connection", async () => {
    const server = await serve(serveFile(CONTENT));
    const { http } = createClient();
    for (let count = 0; count < 20; count += 1) (await http.fetch(`${server.origin}/file`)).discard();
    expect(server.requests).toHaveLength(20);
  });
});
