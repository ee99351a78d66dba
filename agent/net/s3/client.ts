/**
 * The S3 client. Every uploaded body is signed with its hash, so the service refuses a body that was damaged on its way.
 */
import { createHash } from "node:crypto";
import { type FileHandle, open } from "node:fs/promises";
import { AgentError } from "../../errors.ts";
import type { S3Endpoint } from "../../job/job.ts";
import {
  fetchBytes,
  type Headers,
  type HttpClient,
  type HttpRequest,
  type HttpResponse,
} from "../http/http-message.ts";
import type { UploadedFile } from "../http/uploaded-file.ts";
import { S3_PART_BYTES, S3_XML_MAX_BYTES } from "../limits.ts";
import { putMultipart } from "./multipart-upload.ts";
import {
  createS3Authorize,
  formatBucketUrl,
  formatObjectUrl,
  formatS3Name,
  parseS3Endpoint,
  type S3Credentials,
  type S3Object,
  type SendS3,
} from "./request.ts";
import { explainS3Error, parseListPage, type S3ListedObject } from "./xml.ts";

export interface StoredObject {
  /** As the service returned it, without quotes. */
  etag?: string;
  /** What the ETag is if it is made of MD5s, as Amazon's is. */
  contentEtag: string;
  /** With a key that makes the ETag independent of the content. */
  isEncrypted: boolean;
}

export interface S3Client {
  putObject(
    object: S3Object,
    body: Buffer | UploadedFile,
    options?: {
      contentType?: string;
      /** The object's own, by names without `x-amz-meta-`. */
      metadata?: Headers;
      /** Headers of every request that carries content: the service's encryption key. */
      contentHeaders?: Headers;
    } & Pick<HttpRequest, "retry" | "signal">,
  ): Promise<StoredObject>;
  /** Throws as `getObject`. */
  headObject(
    object: S3Object,
    options?: { signal?: AbortSignal },
  ): Promise<{ sizeBytes?: number; etag?: string }>;
  /** `body` throws S3_*, HTTP_* and FETCH_* errors; `hasDigest` as in HttpRequest. */
  getObject(
    object: S3Object,
    options?: Pick<
      HttpRequest,
      "range" | "ranges" | "suffixBytes" | "maxBytes" | "hasDigest" | "headers" | "signal"
    > & {
      /** Called where S3's own error code explains nothing. */
      explainRefusal?: NonNullable<HttpRequest["explainError"]>;
    },
  ): Promise<HttpResponse>;
  /** All objects below the prefix, in the service's order, page after page. */
  listObjects(
    location: { bucket: string; prefix: string },
    options?: { pageKeys?: number; signal?: AbortSignal },
  ): AsyncIterable<S3ListedObject>;
  /** Succeeds for an object that does not exist. */
  deleteObject(object: S3Object, options?: { signal?: AbortSignal }): Promise<void>;
}

export interface S3ClientOptions {
  endpoint: S3Endpoint;
  /** Without credentials requests are anonymous. */
  credentials?: S3Credentials;
  partBytes?: number;
}

export function createS3Client(http: HttpClient, options: S3ClientOptions): S3Client {
  const { endpoint, credentials, partBytes = S3_PART_BYTES } = options;
  const base = parseS3Endpoint(endpoint);
  let clockOffsetMs = 0;

  const signRequest = (request: HttpRequest & { body?: Buffer }): HttpRequest => ({
    ...request,
    isIdempotent: true,
    authorize: createS3Authorize({
      region: endpoint.region,
      credentials,
      bodySha256: createHash("sha256")
        .update(request.body ?? "")
        .digest("hex"),
      clockOffsetMs: () => clockOffsetMs,
      headers: request.headers,
    }),
    explainError(response) {
      const failure = explainS3Error(response);
      if (failure.code !== "S3_CLOCK_SKEW") return failure;
      // A board with a wrong clock can still upload its results: the server's date shows the difference.
      const newOffsetMs = Date.parse(response.headers.date ?? "") - Date.now();
      if (!(Math.abs(newOffsetMs - clockOffsetMs) > 60_000)) return failure;
      clockOffsetMs = newOffsetMs;
      return { ...failure, isTransient: true };
    },
  });

  const send: SendS3 = (url, request) =>
    fetchBytes(http, url, { ...signRequest(request), maxBytes: S3_XML_MAX_BYTES });

  return {
    async putObject(object, body, { contentType, metadata = {}, contentHeaders = {}, retry, signal } = {}) {
      const name = formatS3Name(object);
      const headers: Record<string, string> = { "content-type": contentType ?? "application/octet-stream" };
      for (const [key, value] of Object.entries(metadata)) headers[`x-amz-meta-${key}`] = value;

      const putBuffer = async (content: Buffer): Promise<StoredObject> => {
        const { headers: response } = await send(formatObjectUrl(base, object), {
          method: "PUT",
          subject: `upload ${name}`,
          headers: { ...contentHeaders, ...headers },
          body: content,
          retry,
          signal,
        });
        return describeStored(response.etag, createHash("md5").update(content).digest("hex"), response);
      };

      if (Buffer.isBuffer(body)) return putBuffer(body);
      const { path, sizeBytes } = body;
      const file = await open(path, "r");
      try {
        const readPart = (start: number, length: number) => readExactly(file, start, length, name);
        if (sizeBytes <= partBytes) return await putBuffer(await readPart(0, sizeBytes));
        const parts = { sizeBytes, partBytes, readPart };
        const stored = await putMultipart(send, {
          base,
          object,
          ...parts,
          headers,
          contentHeaders,
          retry,
          signal,
        });
        return describeStored(stored.etag, stored.contentEtag, stored.headers);
      } finally {
        await file.close();
      }
    },

    async headObject(object, { signal } = {}) {
      const { headers } = await send(formatObjectUrl(base, object), {
        method: "HEAD",
        subject: `look for ${formatS3Name(object)}`,
        signal,
      });
      const { "content-length": length, etag } = headers;
      return { sizeBytes: length === undefined ? undefined : Number(length), etag: unquote(etag) };
    },

    getObject(object, { explainRefusal, ...fields } = {}) {
      const request = signRequest({ subject: `fetch ${formatS3Name(object)}`, acceptsHtml: true, ...fields });
      return http.fetch(formatObjectUrl(base, object), {
        ...request,
        explainError(response) {
          const failure = request.explainError!(response);
          return failure?.code === "S3_REJECTED" ? { ...failure, ...explainRefusal?.(response) } : failure;
        },
      });
    },

    async *listObjects({ bucket, prefix }, { pageKeys, signal } = {}) {
      const subject = `list "s3://${bucket}/${prefix}"`;
      let token: string | undefined;
      do {
        const query: Record<string, string> = { "list-type": "2", "encoding-type": "url" };
        if (pageKeys) query["max-keys"] = String(pageKeys);
        if (prefix) query.prefix = prefix;
        if (token) query["continuation-token"] = token;
        const { bytes } = await send(formatBucketUrl(base, bucket, query), {
          method: "GET",
          subject,
          signal,
        });
        const page = parseListPage(bytes);
        yield* page.objects;
        if (token !== undefined && page.continuationToken === token)
          throw new AgentError("S3_BAD_RESPONSE", `Cannot ${subject}: the service sent the same page twice`);
        token = page.continuationToken;
      } while (token !== undefined);
    },

    async deleteObject(object, { signal } = {}) {
      try {
        const subject = `delete ${formatS3Name(object)}`;
        await send(formatObjectUrl(base, object), { method: "DELETE", subject, signal });
      } catch (error) {
        if (!(error instanceof AgentError && error.code === "S3_NO_KEY")) throw error;
      }
    },
  };
}

/** `headers` of the response that created the object or began its upload. */
function describeStored(etag: string | undefined, contentEtag: string, headers: Headers): StoredObject {
  const encryption = "x-amz-server-side-encryption";
  const isEncrypted =
    headers[encryption]?.startsWith("aws:kms") === true ||
    headers[`${encryption}-customer-algorithm`] !== undefined;
  return { etag: unquote(etag) || undefined, contentEtag, isEncrypted };
}

function unquote(etag: string | undefined): string | undefined {
  return etag?.replace(/^"|"$/g, "");
}

async function readExactly(file: FileHandle, start: number, length: number, name: string): Promise<Buffer> {
  const buffer = Buffer.allocUnsafe(length);
  for (let filled = 0; filled < length; ) {
    const { bytesRead } = await file.read(buffer, filled, length - filled, start + filled);
    if (bytesRead === 0)
      throw new AgentError(
        "S3_FILE_CHANGED",
        `Cannot upload ${name}: the file shrank to ${start + filled} bytes`,
      );
    filled += bytesRead;
  }
  return buffer;
}
