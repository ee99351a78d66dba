/** Results by HTTP PUT: what the server receives, who gets the token, and how responses are interpreted. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import { createHttpClient, type HttpClient } from "../../../../agent/net/http/http-client.ts";
import { createPutResults } from "../../../../agent/net/uploads/put-results.ts";
import {
  answer,
  type Behaviour,
  type MisbehavingServer,
  redirect,
  startServer,
} from "../../../servers/misbehaving-server.ts";
import { describeUpload } from "../../../servers/result-upload.ts";

const { signal } = new AbortController();
const CONTENT = Buffer.alloc(3_000_000, "result ");
let folder: string;
let http: HttpClient;
let server: MisbehavingServer | undefined;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "dutboot-put-"));
  await writeFile(join(folder, "file"), CONTENT);
  http = createHttpClient({
    insecureHosts: ["127.0.0.1"],
    log: { warn: () => {} },
    retry: { budgetMs: 3_000, firstDelayMs: 20 },
  });
});
afterEach(() => server?.close());
afterAll(async () => {
  await http.close();
  await rm(folder, { recursive: true });
});

async function serve(behaviours: Behaviour | Behaviour[], token?: string) {
  server = await startServer(behaviours);
  const uploader = createPutResults(http, {
    prefix: `${server.origin}/artifacts/job 42?x`.replace("?x", ""),
    token,
  });
  return { uploader, requests: server.requests };
}

const file = () => ({ path: join(folder, "file"), sizeBytes: CONTENT.length });

it("sends complete files and buffers, with the token, under their names", async () => {
  const { uploader, requests } = await serve(answer(201), "secret-token");
  await uploader.put(describeUpload("a/b c#.log", file()), { signal });
  await uploader.put(describeUpload("empty", Buffer.alloc(0)), { signal });
  expect(requests.map(({ method, path }) => `${method} ${path}`)).toEqual([
    "PUT /artifacts/job%2042/a/b%20c%23.log",
    "HEAD /artifacts/job%2042/a/b%20c%23.log",
    "PUT /artifacts/job%2042/empty",
    "HEAD /artifacts/job%2042/empty",
  ]);
  expect(requests[0]!.body.equals(CONTENT)).toBe(true);
  expect(requests[0]!.headers["content-length"]).toBe(String(CONTENT.length));
  expect(requests.map(({ headers }) => headers.authorization)).toEqual(Array(4).fill("Bearer secret-token"));
  expect(uploader.destination).not.toContain("secret-token");
});

it("sends a file again after a failure", async () => {
  const { uploader, requests } = await serve([answer(503), answer(500), answer(200)]);
  await uploader.put(describeUpload("log", file()), { signal });
  expect(requests.map(({ method }) => method)).toEqual(["PUT", "PUT", "PUT", "HEAD"]);
  expect(requests[2]!.body.equals(CONTENT)).toBe(true);
  expect(requests[2]!.headers.authorization).toBeUndefined();
});

it.each([
  ["401", 401, "UPLOAD_REFUSED"],
  ["403", 403, "UPLOAD_REFUSED"],
  ["404", 404, "HTTP_NOT_FOUND"],
])("reports status %s with its own code", async (_name, status, code) => {
  const { uploader } = await serve(answer(status), "wrong");
  const putting = uploader.put(describeUpload("log", file()), { signal });
  await expect(putting).rejects.toMatchObject({ code });
  await expect(putting).rejects.not.toThrow(/wrong/);
});

it.each([301, 302, 307, 308])(
  "sends a file again to the target of a redirect with status %i",
  async (status) => {
    const { uploader, requests } = await serve(
      [redirect("/moved", status), answer(200, { etag: describeUpload("log", CONTENT).md5 })],
      "token",
    );
    await uploader.put(describeUpload("log", file()), { signal });
    expect(requests.map(({ method, path }) => `${method} ${path}`)).toEqual([
      "PUT /artifacts/job%2042/log",
      "PUT /moved",
    ]);
    expect(requests[1]!.body.equals(CONTENT)).toBe(true);
    expect(requests[1]!.headers.authorization).toBe("Bearer token");
  },
);

it("sends the token to no other host after a redirect", async () => {
  const other = await startServer(answer(200, { etag: describeUpload("log", CONTENT).md5 }));
  const { uploader } = await serve(redirect(`${other.origin}/moved`, 307), "token");
  await uploader.put(describeUpload("log", file()), { signal }).finally(() => other.close());
  expect(other.requests.map(({ method, path }) => `${method} ${path}`)).toEqual(["PUT /moved"]);
  expect(other.requests[0]!.headers.authorization).toBeUndefined();
  expect(other.requests[0]!.body.equals(CONTENT)).toBe(true);
});

it("does not follow a 303 with a file", async () => {
  const { uploader, requests } = await serve(redirect("/moved", 303));
  await expect(uploader.put(describeUpload("log", file()), { signal })).rejects.toMatchObject({
    code: "FETCH_BAD_RESPONSE",
  });
  expect(requests).toHaveLength(1);
});

it("reports a file that became shorter", async () => {
  const { uploader } = await serve(answer(200));
  const putting = uploader.put(describeUpload("log", { ...file(), sizeBytes: CONTENT.length + 1 }), {
    signal,
  });
  await expect(putting).rejects.toMatchObject({ code: "UPLOAD_FILE_CHANGED" });
});

/** A server that accepts everything and sends `etag` and `sizeBytes` for it; `kept` is what it returns to GET. */
function keepOther(say: { etag?: string; sizeBytes?: number; head?: number; kept?: Buffer }): Behaviour {
  return (request, response) => {
    const headers = say.etag === undefined ? {} : { etag: say.etag };
    if (request.method === "PUT") response.writeHead(200, headers).end();
    else if (request.method === "HEAD")
      response
        .writeHead(say.head ?? 200, {
          ...headers,
          ...(say.sizeBytes !== undefined && { "content-length": String(say.sizeBytes) }),
        })
        .end();
    else if (say.kept) response.writeHead(200).end(say.kept);
    else response.writeHead(405).end();
  };
}

const OTHER_MD5 = `"${"0123456789abcdef".repeat(2)}"`;
const ownMd5 = `"${describeUpload("x", CONTENT).md5}"`;

it.each([
  ["the MD5 of what was sent", { etag: ownMd5 }, undefined, "PUT"],
  ["an ETag that is not an MD5", { etag: '"5f3-61e0a"', sizeBytes: CONTENT.length }, undefined, "PUT HEAD"],
  ["nothing and refuses HEAD", { head: 405 }, undefined, "PUT HEAD"],
  ["nothing and does not support HEAD", { head: 501 }, undefined, "PUT HEAD"],
  ["another length", { sizeBytes: 5 }, "UPLOAD_MISMATCH", "PUT HEAD"],
  [
    "another MD5 and returns other bytes",
    { etag: OTHER_MD5, kept: Buffer.from("other") },
    "UPLOAD_MISMATCH",
    "PUT HEAD GET",
  ],
  ["another MD5 and returns nothing", { etag: OTHER_MD5 }, "UPLOAD_MISMATCH", "PUT HEAD GET"],
  ["a wrong MD5 but stored the right bytes", { etag: OTHER_MD5, kept: CONTENT }, undefined, "PUT HEAD GET"],
] as const)("handles a server that sends %s", async (_name, says, code, methods) => {
  const { uploader, requests } = await serve(keepOther(says));
  const putting = uploader.put(describeUpload("log", file()), { signal });
  if (code) await expect(putting).rejects.toMatchObject({ code });
  else await putting;
  expect(requests.map(({ method }) => method).join(" ")).toBe(methods);
});
