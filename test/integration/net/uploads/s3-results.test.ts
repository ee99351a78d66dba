/** Results as S3 objects: what proves that the service stored them, and the error when it stored something else. */
import { createHash } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import { createHttpClient, type HttpClient } from "../../../../agent/net/http/http-client.ts";
import { S3Client } from "../../../../agent/net/s3/client.ts";
import { createS3Results } from "../../../../agent/net/uploads/s3-results.ts";
import { type Behaviour, type MisbehavingServer, startServer } from "../../../servers/misbehaving-server.ts";
import { describeUpload } from "../../../servers/result-upload.ts";

const { signal } = new AbortController();
const CONTENT = Buffer.alloc(2_500, "result ");
const PART_BYTES = 1_000;
const WRONG = "0".repeat(32);
const md5 = (bytes: Buffer) => createHash("md5").update(bytes).digest();
const ofParts = `${md5(Buffer.concat([0, 1, 2].map((at) => md5(CONTENT.subarray(at * 1_000, (at + 1) * 1_000))))).toString("hex")}-3`;
const whole = md5(CONTENT.subarray(0, 500)).toString("hex");

let folder: string;
let http: HttpClient;
let server: MisbehavingServer | undefined;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "dutboot-s3-results-"));
  await writeFile(join(folder, "file"), CONTENT);
  http = createHttpClient({
    insecureHosts: ["127.0.0.1"],
    log: { warn: () => {} },
    retry: { budgetMs: 300, firstDelayMs: 5, maxDelayMs: 20 },
  });
});
afterEach(() => server?.close());
afterAll(async () => {
  await http.close();
  await rm(folder, { recursive: true });
});

interface Service {
  /** ETag of the object, uploaded at once or in parts. */
  etag?: string;
  headers?: Record<string, string>;
  /** Status, or the length that it sends. */
  head?: number | { sizeBytes: number };
  /** Status, or the bytes that it returns. */
  get?: number | Buffer;
}

function behave({ etag, headers = {}, head = 403, get = 403 }: Service): Behaviour {
  return ({ method, url = "" }, response) => {
    const said = { ...headers, ...(etag !== undefined && { etag: `"${etag}"` }) };
    const isPart = url.includes("partNumber=");
    if (method === "PUT") response.writeHead(200, isPart ? { etag: '"part"' } : said).end();
    else if (url.includes("?uploads"))
      response.end("<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>");
    else if (method === "POST")
      response.end(
        `<CompleteMultipartUploadResult>${etag === undefined ? "" : `<ETag>&quot;${etag}&quot;</ETag>`}</CompleteMultipartUploadResult>`,
      );
    else if (method === "HEAD" && typeof head === "object")
      response.writeHead(200, { "content-length": String(head.sizeBytes) }).end();
    else if (method === "HEAD") response.writeHead(head as number).end();
    else if (Buffer.isBuffer(get)) response.writeHead(200).end(get);
    else response.writeHead(get).end();
  };
}

async function put(service: Service, sizeBytes: number, times = 1) {
  server = await startServer(behave(service));
  const s3 = new S3Client(http, {
    endpoint: { url: server.origin, region: "us-east-1" },
    credentials: { accessKey: "key", secretKey: "secret" },
    partBytes: PART_BYTES,
  });
  const uploader = createS3Results(s3, { bucket: "results", prefix: "run" });
  const body = CONTENT.subarray(0, sizeBytes);
  const upload = describeUpload(
    "log",
    sizeBytes > PART_BYTES ? { path: join(folder, "file"), sizeBytes } : body,
  );
  for (let time = 0; time < times; time++) await uploader.put(upload, { signal });
}

const methods = () => server!.requests.map(({ method }) => method).join(" ");

it.each([
  ["its MD5", { etag: whole }, 500, "PUT"],
  ["the MD5 of its parts", { etag: ofParts }, 2_500, "POST PUT PUT PUT POST"],
  ["no ETag but the size", { head: { sizeBytes: 500 } }, 500, "PUT HEAD"],
  ["an ETag of another kind and the size", { etag: "v1.42", head: { sizeBytes: 500 } }, 500, "PUT HEAD"],
  ["no ETag and only allows writing", {}, 500, "PUT HEAD"],
  ["a wrong MD5 but stored the right bytes", { etag: WRONG, get: CONTENT.subarray(0, 500) }, 500, "PUT GET"],
  [
    "the MD5 of parts of another size, but has it",
    { etag: `${WRONG}-3`, get: CONTENT },
    2_500,
    "POST PUT PUT PUT POST GET",
  ],
  [
    "an MD5 of what it encrypted",
    { etag: WRONG, headers: { "x-amz-server-side-encryption": "aws:kms" }, head: { sizeBytes: 500 } },
    500,
    "PUT HEAD",
  ],
] as const)("trusts a service that sends %s", async (_name, service, sizeBytes, asked) => {
  await put(service, sizeBytes);
  expect(methods()).toBe(asked);
});

it.each([
  ["a wrong MD5", { etag: WRONG }, 500, "UPLOAD_MISMATCH"],
  [
    "a wrong MD5 and gives other bytes back",
    { etag: WRONG, get: Buffer.from("other") },
    500,
    "UPLOAD_MISMATCH",
  ],
  ["a wrong MD5 of the parts", { etag: `${WRONG}-3`, get: CONTENT.subarray(1) }, 2_500, "UPLOAD_MISMATCH"],
  ["another size", { head: { sizeBytes: 499 } }, 500, "UPLOAD_MISMATCH"],
  ["404 for the object", { head: 404 }, 500, "UPLOAD_MISMATCH"],
] as const)("does not trust a service that sends %s", async (_name, service, sizeBytes, code) => {
  await expect(put(service, sizeBytes)).rejects.toMatchObject({ code });
});

it("reads back only once from a service whose ETags are not MD5s", async () => {
  await put({ etag: WRONG, get: CONTENT.subarray(0, 500), head: { sizeBytes: 500 } }, 500, 3);
  expect(methods()).toBe("PUT GET PUT HEAD PUT HEAD");
});
