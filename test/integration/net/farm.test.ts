/**
 * The registry and S3 clients against the farm's real servers: docker-registry with TLS and a password, Swift's S3.
 * skopeo pushes the images; the AWS SDK reads the objects that our client wrote, and writes those that it reads.
 */
import { createHash, randomBytes } from "node:crypto";
import { mkdir, mkdtemp, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import {
  CreateBucketCommand,
  GetObjectCommand,
  ListMultipartUploadsCommand,
  PutObjectCommand,
  S3Client,
} from "@aws-sdk/client-s3";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createHttpClient, type HttpClient } from "../../../agent/net/http/http-client.ts";
import { RegistryClient } from "../../../agent/net/registry/registry.ts";
import { S3Client as AgentS3Client } from "../../../agent/net/s3/client.ts";
import { parseImageReference } from "../../../agent/oci/reference.ts";
import { type Farm, startFarm } from "../../../qemu/farm/farm.ts";
import { digestOf } from "../../servers/memory-registry.ts";
import { redirect, startServer } from "../../servers/misbehaving-server.ts";

const AMD64 = { os: "linux", architecture: "amd64" };
const BUCKET = "results";
const QUICK = { budgetMs: 2_000, firstDelayMs: 20 };

let folder: string;
let farm: Farm;
let http: HttpClient;
let sdk: S3Client;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "dutboot-farm-test-"));
  farm = await startFarm({ runDir: folder, log: () => {} });
  http = createHttpClient({
    insecureHosts: [new URL(farm.s3.hostUrl).host, "127.0.0.1"],
    extraCa: farm.registry.caPem,
    log: { warn: () => {} },
    retry: QUICK,
  });
  sdk = new S3Client({
    endpoint: farm.s3.hostUrl,
    region: farm.s3.region,
    forcePathStyle: true,
    credentials: { accessKeyId: farm.s3.accessKey, secretAccessKey: farm.s3.secretKey },
    requestChecksumCalculation: "WHEN_REQUIRED",
    responseChecksumValidation: "WHEN_REQUIRED",
  });
  await sdk.send(new CreateBucketCommand({ Bucket: BUCKET }));
  // Unpacking the tools takes its time where nobody did it before.
}, 600_000);

afterAll(async () => {
  sdk?.destroy();
  await http?.close();
  await farm?.stop();
  await rm(folder, { recursive: true, force: true });
}, 60_000);

async function read(body: AsyncIterable<Buffer>): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of body) chunks.push(chunk);
  return Buffer.concat(chunks);
}

const sha256 = (bytes: Buffer) => createHash("sha256").update(bytes).digest("hex");

describe("docker-registry", () => {
  const tar = randomBytes(2_000_000);
  const layer = gzipSync(tar);
  const createClient = (user: { username: string; password: string } | undefined) =>
    new RegistryClient(http, { auth: () => user });
  const refer = (rest: string) => parseImageReference(`${farm.registry.hostAddress}/test/image${rest}`);

  async function pushImage(): Promise<void> {
    const layout = join(folder, "layout");
    await mkdir(join(layout, "blobs", "sha256"), { recursive: true });
    const put = async (bytes: Buffer) => {
      await writeFile(join(layout, "blobs", "sha256", sha256(bytes)), bytes);
      return { digest: digestOf(bytes), size: bytes.length };
    };
    const json = (value: unknown) => Buffer.from(JSON.stringify(value));
    const type = (name: string) => ({ mediaType: `application/vnd.oci.image.${name}` });
    const config = await put(json({ ...AMD64, rootfs: { type: "layers", diff_ids: [digestOf(tar)] } }));
    const manifest = {
      schemaVersion: 2,
      ...type("manifest.v1+json"),
      config: { ...type("config.v1+json"), ...config },
      layers: [{ ...type("layer.v1.tar+gzip"), ...(await put(layer)) }],
    };
    const descriptor = { ...type("manifest.v1+json"), ...(await put(json(manifest))), platform: AMD64 };
    await writeFile(join(layout, "index.json"), json({ schemaVersion: 2, manifests: [descriptor] }));
    await writeFile(join(layout, "oci-layout"), json({ imageLayoutVersion: "1.0.0" }));
    const { hostAddress, username, password, caPath } = farm.registry;
    const certificates = join(folder, "certificates");
    await mkdir(certificates);
    await writeFile(join(certificates, "ca.crt"), farm.registry.caPem);
    expect(caPath).toBeTruthy();
    await farm.tools.run("skopeo", [
      "--insecure-policy",
      "copy",
      ...["--dest-cert-dir", certificates, "--dest-creds", `${username}:${password}`],
      `oci:${layout}`,
      `docker://${hostAddress}/test/image:v1`,
    ]);
  }

  beforeAll(pushImage, 120_000);

  test("an image that skopeo pushed is resolved and read, completely and by ranges", async () => {
    const registry = createClient(farm.registry);
    const image = await registry.resolveImage(refer(":v1"), AMD64);
    expect(image.layers).toHaveLength(1);
    const [descriptor] = image.layers;
    expect(descriptor).toMatchObject({
      digest: digestOf(layer),
      diffId: digestOf(tar),
      sizeBytes: layer.length,
    });
    expect(sha256(await read(await registry.openBlob(image.reference, descriptor!)))).toBe(sha256(layer));
    const part = await registry.openBlob(image.reference, descriptor!, {
      range: { start: 1000, end: 100_000 },
    });
    expect(sha256(await read(part))).toBe(sha256(layer.subarray(1000, 100_000)));
    const byDigest = await registry.resolveImage(refer(`@${image.manifestDigest}`), AMD64);
    expect(byDigest.manifestDigest).toBe(image.manifestDigest);
  });

  test.each([
    { name: "no such tag", rest: ":none", user: "right", code: "IMAGE_NOT_FOUND" },
    { name: "no such digest", rest: `@sha256:${"0".repeat(64)}`, user: "right", code: "IMAGE_NOT_FOUND" },
    { name: "no password", rest: ":v1", user: "none", code: "REGISTRY_UNAUTHORIZED" },
    { name: "a wrong password", rest: ":v1", user: "wrong", code: "REGISTRY_UNAUTHORIZED" },
  ] as const)("$name", async ({ rest, user, code }) => {
    const users = { right: farm.registry, none: undefined, wrong: { username: "dut", password: "wrong" } };
    await expect(createClient(users[user]).resolveImage(refer(rest), AMD64)).rejects.toMatchObject({ code });
  });

  test("an untrusted certificate is refused", async () => {
    const stranger = createHttpClient({ insecureHosts: [], log: { warn: () => {} }, retry: QUICK });
    const registry = new RegistryClient(stranger, { auth: () => farm.registry });
    await expect(registry.resolveImage(refer(":v1"), AMD64)).rejects.toMatchObject({
      code: "FETCH_TLS_UNTRUSTED",
    });
    await stranger.close();
  });

  test("a missing blob is an error", async () => {
    const gone = { digest: `sha256:${"1".repeat(64)}`, sizeBytes: 5 };
    const pull = createClient(farm.registry).openBlob(refer(":v1"), gone);
    await expect(pull).rejects.toMatchObject({ code: "REGISTRY_BLOB_MISSING" });
  });
});

describe("Swift's S3", () => {
  const createClient = ({
    partBytes,
    url = farm.s3.hostUrl,
    ...credentials
  }: {
    url?: string;
    accessKey?: string;
    secretKey?: string;
    partBytes?: number;
  } = {}) =>
    new AgentS3Client(http, {
      endpoint: { url, region: farm.s3.region },
      credentials: { accessKey: farm.s3.accessKey, secretKey: farm.s3.secretKey, ...credentials },
      partBytes,
    });
  const ODD_KEYS = [
    "plain/log.txt",
    "a b",
    "plus+plus",
    "percent%41%",
    "tilde~star*",
    "paren(1)'s",
    "colon:at@amp&eq=",
    "what?#[x]",
    "é ü 漢字 🎮",
    "double//slash",
    "trailing/",
    '"quoted"<&>',
    "dots/..x/...",
  ];

  test.each(ODD_KEYS)("key %j: the SDK and our client read and delete each other's objects", async (name) => {
    const s3 = createClient();
    const ours = `ours/${name}`;
    const theirs = `theirs/${name}`;
    const body = randomBytes(1000);
    await s3.putObject({ bucket: BUCKET, key: ours }, body, { contentType: "text/plain" });
    const seen = await sdk.send(new GetObjectCommand({ Bucket: BUCKET, Key: ours }));
    expect(Buffer.from(await seen.Body!.transformToByteArray())).toEqual(body);
    expect(seen.ContentType).toBe("text/plain");
    await sdk.send(new PutObjectCommand({ Bucket: BUCKET, Key: theirs, Body: body }));
    const { body: stream, sizeBytes } = await s3.getObject({ bucket: BUCKET, key: theirs });
    expect(sizeBytes).toBe(1000);
    expect(await read(stream)).toEqual(body);
    const part = await s3.getObject({ bucket: BUCKET, key: theirs }, { range: { start: 10, end: 20 } });
    expect(await read(part.body)).toEqual(body.subarray(10, 20));
    const listed = [];
    for await (const object of s3.listObjects({ bucket: BUCKET, prefix: ours })) listed.push(object);
    expect(listed).toMatchObject([{ key: ours, sizeBytes: 1000 }]);
    await s3.deleteObject({ bucket: BUCKET, key: ours });
    await s3.deleteObject({ bucket: BUCKET, key: ours });
    const gone = s3.getObject({ bucket: BUCKET, key: ours });
    await expect(gone).rejects.toMatchObject({ code: "S3_NO_KEY", blame: "job" });
  });

  test.each([
    { name: "empty", sizeBytes: 0, partBytes: 1000 },
    { name: "one byte", sizeBytes: 1, partBytes: 1000 },
    { name: "exactly one part", sizeBytes: 100_000, partBytes: 100_000 },
    { name: "one byte more than a part", sizeBytes: 100_001, partBytes: 100_000 },
    { name: "eleven parts and a rest", sizeBytes: 1_123_456, partBytes: 100_000 },
    { name: "parts of the usual size", sizeBytes: 20_000_000, partBytes: undefined },
  ])("a file of $name", async ({ name, sizeBytes, partBytes }) => {
    const s3 = createClient(partBytes === undefined ? {} : { partBytes });
    const content = randomBytes(sizeBytes);
    const path = join(folder, "upload");
    // What is appended to a log after its size was taken is not uploaded.
    await writeFile(path, Buffer.concat([content, Buffer.from("later")]));
    const key = `files/${name}`;
    const stored = await s3.putObject(
      { bucket: BUCKET, key },
      { path, sizeBytes },
      { contentType: "text/plain" },
    );
    expect(stored.etag).toBe(stored.contentEtag);
    expect(await s3.headObject({ bucket: BUCKET, key })).toEqual({ sizeBytes, etag: stored.etag });
    const seen = await sdk.send(new GetObjectCommand({ Bucket: BUCKET, Key: key }));
    expect(sha256(Buffer.from(await seen.Body!.transformToByteArray()))).toBe(sha256(content));
    expect(seen.ContentType).toBe("text/plain");
  });

  test.each([100, 250_000])(
    "an upload of %i bytes is signed anew where a redirect leads",
    async (sizeBytes) => {
      const gateway = await startServer((request, response) =>
        redirect(`${farm.s3.hostUrl}${request.url}`, 307)(request, response),
      );
      const s3 = createClient({ url: gateway.origin, partBytes: 100_000 });
      const content = randomBytes(sizeBytes);
      const path = join(folder, "redirected");
      await writeFile(path, content);
      const key = `redirected/${sizeBytes}`;
      await s3.putObject({ bucket: BUCKET, key }, { path, sizeBytes }).finally(() => gateway.close());
      const seen = await sdk.send(new GetObjectCommand({ Bucket: BUCKET, Key: key }));
      expect(sha256(Buffer.from(await seen.Body!.transformToByteArray()))).toBe(sha256(content));
    },
  );

  test("a file that shrinks is an error and leaves no parts behind", async () => {
    const path = join(folder, "shrinking");
    await writeFile(path, randomBytes(250_000));
    await truncate(path, 150_000);
    const upload = createClient({ partBytes: 100_000 }).putObject(
      { bucket: BUCKET, key: "shrinking" },
      { path, sizeBytes: 250_000 },
    );
    await expect(upload).rejects.toMatchObject({ code: "S3_FILE_CHANGED" });
    const uploads = await sdk.send(new ListMultipartUploadsCommand({ Bucket: BUCKET }));
    expect(uploads.Uploads ?? []).toEqual([]);
  });

  test("a listing continues over several pages", async () => {
    const s3 = createClient();
    const keys = Array.from({ length: 25 }, (_, index) => `many/${String(index).padStart(2, "0")} +é`);
    const waiting = keys.values();
    const putNext = async () => {
      for (const key of waiting) await s3.putObject({ bucket: BUCKET, key }, Buffer.alloc(0));
    };
    await Promise.all(Array.from({ length: 8 }, putNext));
    const listed = [];
    for await (const { key } of s3.listObjects({ bucket: BUCKET, prefix: "many/" }, { pageKeys: 10 }))
      listed.push(key);
    expect(listed.sort()).toEqual(keys);
  });

  test.each([
    {
      name: "a wrong secret",
      client: { secretKey: "wrong" },
      bucket: BUCKET,
      code: "S3_BAD_CREDENTIALS",
      blame: "config",
    },
    {
      name: "an unknown access key",
      client: { accessKey: "nobody:here" },
      bucket: BUCKET,
      code: "S3_BAD_CREDENTIALS",
      blame: "config",
    },
    { name: "no such bucket", client: {}, bucket: "nowhere", code: "S3_NO_BUCKET", blame: "job" },
  ])("$name", async ({ client, bucket, code, blame }) => {
    const put = createClient(client).putObject({ bucket, key: "x" }, Buffer.from("x"));
    await expect(put).rejects.toMatchObject({ code, blame });
  });
});
