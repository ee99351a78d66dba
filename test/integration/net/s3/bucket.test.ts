/**
 * Buckets for volumes: the headers of their requests. Swift does not support customer-provided keys (SSE-C), so a server that only
 * records requests replaces it; test/integration/volumes has mirrors with the real Swift.
 */
import { createHash, randomBytes } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { createHttpClient } from "../../../../agent/net/http/http-client.ts";
import { createBucketOpener } from "../../../../agent/net/s3/bucket.ts";
import { answer, type Behaviour, startServer } from "../../../servers/misbehaving-server.ts";

const KEY = randomBytes(32);
const KEY_HEADERS = {
  "x-amz-server-side-encryption-customer-algorithm": "AES256",
  "x-amz-server-side-encryption-customer-key": KEY.toString("base64"),
  "x-amz-server-side-encryption-customer-key-md5": createHash("md5").update(KEY).digest("base64"),
};
const signal = new AbortController().signal;
const toClose: (() => Promise<void> | void)[] = [];

afterEach(async () => {
  for (const close of toClose.splice(0)) await close();
});

async function start(behaviours: Behaviour[]) {
  const server = await startServer(behaviours);
  const http = createHttpClient({
    insecureHosts: [server.host],
    log: { warn: () => {} },
    retry: { budgetMs: 400 },
  });
  const folder = mkdtempSync(join(tmpdir(), "dutboot-s3-bucket-test-"));
  toClose.push(
    () => server.close(),
    () => http.close(),
    () => rmSync(folder, { recursive: true }),
  );
  const openBucket = createBucketOpener(http, [
    { name: "farm", url: "http://127.0.0.1:9", accessKey: "earlier", secretKey: "s" },
    { name: "farm", url: server.origin, accessKey: "later", secretKey: "s" },
  ]);
  const makeFile = (sizeBytes: number) => {
    const path = join(folder, String(sizeBytes));
    writeFileSync(path, randomBytes(sizeBytes));
    return { path, sizeBytes };
  };
  return { server, openBucket, makeFile };
}

const place = { alias: "farm", bucket: "b".repeat(3) };

test("put sends metadata and the key, and returns the ETag", async () => {
  const { server, openBucket, makeFile } = await start([answer(200, { etag: '"abc"' })]);
  const bucket = openBucket({ ...place, encryptionKey: KEY });
  await expect(
    bucket.put("k", makeFile(5), { metadata: { "mc-attrs": "uid:1/gid:2" }, signal }),
  ).resolves.toEqual({
    etag: "abc",
  });
  const { headers } = server.requests[0]!;
  expect(headers).toMatchObject({ ...KEY_HEADERS, "x-amz-meta-mc-attrs": "uid:1/gid:2" });
  // What is not signed could be changed on its way.
  expect(headers.authorization).toContain("x-amz-server-side-encryption-customer-key;");
  expect(headers.authorization).toContain("x-amz-meta-mc-attrs;");
  expect(headers.authorization).toContain("Credential=later/");
});

test("put in parts sends metadata once, and the key with every part", async () => {
  const started = answer(
    200,
    {},
    "<InitiateMultipartUploadResult><UploadId>u1</UploadId></InitiateMultipartUploadResult>",
  );
  const part = answer(200, { etag: '"p"' });
  const done = answer(200, {}, "<CompleteMultipartUploadResult/>");
  const { server, openBucket, makeFile } = await start([started, part, part, done]);
  const bucket = openBucket({ ...place, encryptionKey: KEY });
  await bucket.put("k", makeFile(8 * 1024 * 1024 + 1), { metadata: { "mc-attrs": "uid:1" }, signal });
  const sent = server.requests.map(({ method, headers }) => [
    method,
    headers["x-amz-meta-mc-attrs"],
    headers["x-amz-server-side-encryption-customer-key"] === KEY.toString("base64"),
  ]);
  expect(sent).toEqual([
    ["POST", "uid:1", true],
    ["PUT", undefined, true],
    ["PUT", undefined, true],
    ["POST", undefined, false],
  ]);
});

test("get sends the key and returns the object's metadata", async () => {
  const { server, openBucket } = await start([
    answer(200, { "x-amz-meta-mc-attrs": "mode:420", "x-amz-request-id": "1", "content-length": "1" }, "x"),
  ]);
  const { metadata, body } = await openBucket({ ...place, encryptionKey: KEY }).get("k", { signal });
  const chunks: Buffer[] = [];
  for await (const chunk of body) chunks.push(chunk);
  expect([metadata, Buffer.concat(chunks).toString()]).toEqual([{ "mc-attrs": "mode:420" }, "x"]);
  expect(server.requests[0]!.headers).toMatchObject(KEY_HEADERS);
});

test("without a key no header mentions one", async () => {
  const { server, openBucket, makeFile } = await start([answer(200)]);
  await openBucket(place).put("k", makeFile(1), { metadata: {}, signal });
  expect(Object.keys(server.requests[0]!.headers).join()).not.toMatch(/encryption|meta/);
});

test("an unknown alias is an error without any request", async () => {
  const { openBucket } = await start([]);
  expect(() => openBucket({ ...place, alias: "other" })).toThrowError(
    expect.objectContaining({ code: "VOLUME_NO_ALIAS" }),
  );
});
