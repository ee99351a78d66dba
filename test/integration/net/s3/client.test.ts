/**
 * The S3 client against misbehaving services: lost responses, late errors, wrong clocks. farm.test.ts uses the real Swift.
 */
import { randomBytes } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { createHttpClient } from "../../../../agent/net/http/http-client.ts";
import { S3Client } from "../../../../agent/net/s3/client.ts";
import {
  answer,
  type Behaviour,
  type MisbehavingServer,
  reset,
  startServer,
} from "../../../servers/misbehaving-server.ts";

const OBJECT = { bucket: "results", key: "run/log" };
const xmlError = (status: number, code: string, headers = {}) =>
  answer(status, headers, `<Error><Code>${code}</Code></Error>`);
const started = answer(
  200,
  {},
  "<InitiateMultipartUploadResult><UploadId>u1</UploadId></InitiateMultipartUploadResult>",
);
const part = answer(200, { etag: '"p"' });
const done = answer(200, {}, "<CompleteMultipartUploadResult/>");

const toClose: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const each of toClose.splice(0)) await each.close();
});

async function start(behaviours: Behaviour[], partBytes = 1000) {
  const server = await startServer(behaviours);
  const http = createHttpClient({
    insecureHosts: [server.host],
    log: { warn: () => {} },
    retry: { budgetMs: 400, firstDelayMs: 5, maxDelayMs: 50 },
  });
  toClose.push(server, http);
  const s3 = new S3Client(http, {
    endpoint: { url: server.origin, region: "us-east-1" },
    credentials: { accessKey: "key", secretKey: "secret", sessionToken: "session" },
    partBytes,
  });
  return { server, s3 };
}

async function makeFile(sizeBytes: number) {
  const folder = await mkdtemp(join(tmpdir(), "dutboot-s3-test-"));
  toClose.push({ close: () => rm(folder, { recursive: true }) });
  const path = join(folder, "file");
  await writeFile(path, randomBytes(sizeBytes));
  return { path, sizeBytes };
}

const steps = ({ requests }: MisbehavingServer) => requests.map(({ method, path }) => `${method} ${path}`);

test.each([
  { name: "an internal error", first: xmlError(500, "InternalError") },
  { name: "slow down", first: xmlError(503, "SlowDown") },
  { name: "a timeout with status 400", first: xmlError(400, "RequestTimeout") },
  { name: "a reset", first: reset },
])("a put is retried after $name, with a new signature", async ({ first }) => {
  const { server, s3 } = await start([first, answer(200)]);
  await s3.putObject(OBJECT, Buffer.from("text"));
  expect(steps(server)).toEqual(["PUT /results/run/log", "PUT /results/run/log"]);
  for (const { headers } of server.requests) {
    expect(headers).toMatchObject({ "x-amz-security-token": "session", "content-length": "4" });
    expect(headers.authorization).toMatch(/^AWS4-HMAC-SHA256 Credential=key\//);
  }
});

test.each([
  {
    name: "wrong keys",
    behaviour: xmlError(403, "SignatureDoesNotMatch"),
    code: "S3_BAD_CREDENTIALS",
    requests: 1,
  },
  { name: "no right", behaviour: xmlError(403, "AccessDenied"), code: "S3_ACCESS_DENIED", requests: 1 },
  { name: "no bucket", behaviour: xmlError(404, "NoSuchBucket"), code: "S3_NO_BUCKET", requests: 1 },
  {
    name: "errors on every attempt",
    behaviour: xmlError(503, "SlowDown"),
    code: "S3_SERVER_ERROR",
    requests: undefined,
  },
  {
    name: "a redirect to another region",
    behaviour: xmlError(301, "PermanentRedirect"),
    code: "S3_REJECTED",
    requests: 1,
  },
])("a put ends with $code on $name", async ({ behaviour, code, requests }) => {
  const { server, s3 } = await start([behaviour]);
  await expect(s3.putObject(OBJECT, Buffer.from("text"))).rejects.toMatchObject({ code });
  if (requests) expect(server.requests).toHaveLength(requests);
});

test("a clock that is two years behind is corrected by the server's date", async () => {
  const serverTime = new Date(Date.now() + 2 * 365 * 86_400_000);
  const skewed = xmlError(403, "RequestTimeTooSkewed", { date: serverTime.toUTCString() });
  const { server, s3 } = await start([skewed, answer(200)]);
  await s3.putObject(OBJECT, Buffer.from("text"));
  await s3.putObject(OBJECT, Buffer.from("text"));
  const years = server.requests.map(({ headers }) => String(headers["x-amz-date"]).slice(0, 4));
  const [thisYear, thatYear] = [new Date().getUTCFullYear(), serverTime.getUTCFullYear()].map(String);
  expect(years).toEqual([thisYear, thatYear, thatYear]);
});

test("a server that rejects every clock is reported as such", async () => {
  const { s3 } = await start([xmlError(403, "RequestTimeTooSkewed")]);
  await expect(s3.putObject(OBJECT, Buffer.from("text"))).rejects.toMatchObject({ code: "S3_CLOCK_SKEW" });
});

test("a large object is uploaded in parts", async () => {
  const { server, s3 } = await start([started, part, part, part, done]);
  await s3.putObject(OBJECT, await makeFile(2_500));
  expect(steps(server).sort()).toEqual([
    "POST /results/run/log?uploadId=u1",
    "POST /results/run/log?uploads=",
    "PUT /results/run/log?partNumber=1&uploadId=u1",
    "PUT /results/run/log?partNumber=2&uploadId=u1",
    "PUT /results/run/log?partNumber=3&uploadId=u1",
  ]);
  expect(
    server.requests.reduce((sum, { method, body }) => sum + (method === "PUT" ? body.length : 0), 0),
  ).toBe(2_500);
});

test("a completion whose response was lost is recognized by the object's size", async () => {
  const found = answer(200, { "content-length": "1500" });
  const { server, s3 } = await start([started, part, part, reset, xmlError(404, "NoSuchUpload"), found]);
  await s3.putObject(OBJECT, await makeFile(1_500));
  expect(server.requests.at(-1)?.method).toBe("HEAD");
});

test.each([
  {
    name: "a completion that fails after its 200 is an error",
    after: [xmlError(200, "InternalError")],
    code: "S3_SERVER_ERROR",
  },
  {
    name: "an upload that the service lost is an error",
    after: [xmlError(404, "NoSuchUpload"), answer(404)],
    code: "S3_NO_SUCH_UPLOAD",
  },
])("$name", async ({ after, code }) => {
  const { server, s3 } = await start([started, part, part, ...after, answer(204)]);
  await expect(s3.putObject(OBJECT, await makeFile(1_500))).rejects.toMatchObject({ code });
  expect(steps(server).at(-1)).toBe("DELETE /results/run/log?uploadId=u1");
});

test("a rejected part aborts the upload", async () => {
  const { server, s3 } = await start([started, xmlError(403, "AccessDenied")]);
  await expect(s3.putObject(OBJECT, await makeFile(5_500))).rejects.toMatchObject({
    code: "S3_ACCESS_DENIED",
  });
  expect(server.requests.at(-1)?.method).toBe("DELETE");
  expect(server.requests.length).toBeLessThanOrEqual(4);
});

test("an endless listing of the same page is an error", async () => {
  const page =
    "<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>same</NextContinuationToken></ListBucketResult>";
  const { s3 } = await start([answer(200, {}, page)]);
  const list = async () => {
    for await (const _ of s3.listObjects({ bucket: "results", prefix: "" }));
  };
  await expect(list()).rejects.toMatchObject({ code: "S3_BAD_RESPONSE" });
});
