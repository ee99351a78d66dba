/**
 * The S3 client: results go up, archives come down. Every body that goes up is signed with its hash, so that a byte
 * that changed on its way is refused by the server.
 */
import { createHash } from "node:crypto";
import { type FileHandle, open } from "node:fs/promises";
import { AgentError } from "../../errors.ts";
import type { S3Endpoint } from "../../job/job.ts";
import { fetchWhole } from "../http/fetch-whole.ts";
import type { ErrorAnswer, Headers, HttpClient, HttpRequest, HttpResponse } from "../http/http-message.ts";
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

/** A file is read as `sizeBytes` long, whatever is appended to it meanwhile. */
export type S3Body = Buffer | { path: string; sizeBytes: number };

/** What the service said of an object that it took. */
export interface StoredObject {
  etag?: string;
  /** What the ETag is where it is made of MD5s, as Amazon's is. */
  contentEtag: string;
  /** By a key that makes its ETag say nothing of the content. */
  isEncrypted: boolean;
}

export interface S3Client {
  putObject(
    object: S3Object,
    body: S3Body,
    options?: {
      contentType?: string;
      /** The object's own, by names without `x-amz-meta-`. */
      metadata?: Headers;
      /** Of every request that carries content: the key that the service encrypts by. */
      contentHeaders?: Headers;
      retry?: NonNullable<HttpRequest["retry"]>;
      signal?: AbortSignal;
    },
  ): Promise<StoredObject>;
  /** What the service says of an object. Throws as `getObject`. */
  headObject(
    object: S3Object,
    options?: { signal?: AbortSignal },
  ): Promise<{ sizeBytes?: number; etag?: string }>;
  /** `body` throws S3_*, HTTP_* and FETCH_* errors; `hasDigest` as in HttpRequest. */
  getObject(
    object: S3Object,
    options?: Pick<HttpRequest, "range" | "ranges" | "maxBytes" | "hasDigest" | "headers" | "signal"> & {
      /** Asked where S3's own error code says nothing. */
      explainRefusal?: NonNullable<HttpRequest["explainError"]>;
    },
  ): Promise<HttpResponse>;
  /** All objects below the prefix, in the service's order, page after page. */
  listObjects(
    location: { bucket: string; prefix: string },
    options?: { pageKeys?: number; signal?: AbortSignal },
  ): AsyncIterable<S3ListedObject>;
  /** Deleting what is not there is no error. */
  deleteObject(object: S3Object, options?: { signal?: AbortSignal }): Promise<void>;
}

export interface S3ClientOptions {
  endpoint: S3Endpoint;
  /** Without them requests are anonymous. */
  credentials?: S3Credentials;
  partBytes?: number;
}

interface PutOptions {
  headers: Headers;
  contentHeaders: Headers;
  retry?: NonNullable<HttpRequest["retry"]>;
  signal?: AbortSignal;
}

export function createS3Client(http: HttpClient, options: S3ClientOptions): S3Client {
  const base = parseS3Endpoint(options.endpoint);
  const partBytes = options.partBytes ?? S3_PART_BYTES;
  let clockOffsetMs = 0;

  const signedRequest = (
    request: Omit<HttpRequest, "method" | "body"> & { method: string; body?: Buffer },
  ): HttpRequest => ({
    ...(request as HttpRequest),
    isIdempotent: true,
    authorize: createS3Authorize({
      region: options.endpoint.region,
      credentials: options.credentials,
      bodySha256: createHash("sha256")
        .update(request.body ?? "")
        .digest("hex"),
      clockOffsetMs: () => clockOffsetMs,
      headers: request.headers,
    }),
    explainError: (answer) => {
      const failure = explainS3Error(answer);
      if (failure.code === "S3_CLOCK_SKEW") {
        // A board whose clock is wrong still gets its results out: the server's own date says by how much.
        const serverMs = Date.parse(answer.headers.date ?? "");
        const newOffsetMs = serverMs - Date.now();
        if (Math.abs(newOffsetMs - clockOffsetMs) > 60_000) {
          clockOffsetMs = newOffsetMs;
          return { ...failure, isTransient: true };
        }
      }
      return failure;
    },
  });

  const send: SendS3 = async (url, { method, ...request }) => {
    const { response, bytes } = await fetchWhole(http, url, {
      ...signedRequest({ method, ...request }),
      maxBytes: S3_XML_MAX_BYTES,
    });
    return { headers: response.headers, bytes };
  };

  async function putFile(
    object: S3Object,
    file: FileHandle,
    sizeBytes: number,
    common: PutOptions,
  ): Promise<StoredObject> {
    const readPart = (start: number, length: number) => readExactly(file, start, length, object);
    if (sizeBytes <= partBytes) return putBuffer(object, await readPart(0, sizeBytes), common);
    const parts = await putMultipart(send, { base, object, sizeBytes, partBytes, readPart, ...common });
    return describeStored(parts.etag, parts.contentEtag, parts.headers);
  }

  async function putBuffer(
    object: S3Object,
    body: Buffer,
    { headers, contentHeaders, ...options }: PutOptions,
  ): Promise<StoredObject> {
    const { headers: answer } = await send(formatObjectUrl(base, object), {
      method: "PUT",
      subject: `upload ${formatS3Name(object)}`,
      headers: { ...contentHeaders, ...headers },
      body,
      ...options,
    });
    const contentEtag = createHash("md5").update(body).digest("hex");
    return describeStored(answer.etag, contentEtag, answer);
  }

  return {
    async putObject(object, body, options = {}) {
      const {
        contentType = "application/octet-stream",
        metadata = {},
        contentHeaders = {},
        retry,
        signal,
      } = options;
      const named = Object.entries(metadata).map(([name, value]) => [`x-amz-meta-${name}`, value]);
      const headers = { "content-type": contentType, ...Object.fromEntries(named) };
      const common = { headers, contentHeaders, retry, signal };
      if (Buffer.isBuffer(body)) return putBuffer(object, body, common);
      const file = await open(body.path, "r");
      try {
        return await putFile(object, file, body.sizeBytes, common);
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
      return {
        ...(length !== undefined && { sizeBytes: Number(length) }),
        ...(etag !== undefined && { etag: unquote(etag) }),
      };
    },

    getObject(object, { explainRefusal, ...fields } = {}) {
      const request = signedRequest({
        method: "GET",
        subject: `fetch ${formatS3Name(object)}`,
        acceptsHtml: true,
        ...fields,
      });
      const explainError = (answer: ErrorAnswer) => {
        const failure = request.explainError!(answer);
        return failure?.code === "S3_REJECTED" ? { ...failure, ...explainRefusal?.(answer) } : failure;
      };
      return http.fetch(formatObjectUrl(base, object), { ...request, explainError });
    },

    async *listObjects({ bucket, prefix }, { pageKeys, signal } = {}) {
      let token: string | undefined;
      do {
        const query = {
          "list-type": "2",
          "encoding-type": "url",
          ...(pageKeys && { "max-keys": String(pageKeys) }),
          ...(prefix && { prefix }),
          ...(token && { "continuation-token": token }),
        };
        const { bytes } = await send(formatBucketUrl(base, bucket, query), {
          method: "GET",
          subject: `list "s3://${bucket}/${prefix}"`,
          signal,
        });
        const page = parseListPage(bytes);
        yield* page.objects;
        if (page.continuationToken !== undefined && page.continuationToken === token) {
          throw new AgentError(
            "S3_BAD_RESPONSE",
            `Cannot list "s3://${bucket}/${prefix}": the same page came twice`,
          );
        }
        token = page.continuationToken;
      } while (token !== undefined);
    },

    async deleteObject(object, { signal } = {}) {
      try {
        await send(formatObjectUrl(base, object), {
          method: "DELETE",
          subject: `delete ${formatS3Name(object)}`,
          signal,
        });
      } catch (error) {
        if (!(error instanceof AgentError && error.code === "S3_NO_KEY")) throw error;
      }
    },
  };
}

const unquote = (etag: string) => etag.replace(/^"|"$/g, "");

/** `headers` of the answer that began or made the object. */
function describeStored(etag: string | undefined, contentEtag: string, headers: Headers): StoredObject {
  const encryption = "x-amz-server-side-encryption";
  const isEncrypted =
    headers[encryption]?.startsWith("aws:kms") === true ||
    headers[`${encryption}-customer-algorithm`] !== undefined;
  return { contentEtag, isEncrypted, ...(etag && { etag: unquote(etag) }) };
}

async function readExactly(
  file: FileHandle,
  start: number,
  length: number,
  object: S3Object,
): Promise<Buffer> {
  const buffer = Buffer.allocUnsafe(length);
  let filled = 0;
  while (filled < length) {
    const { bytesRead } = await file.read(buffer, filled, length - filled, start + filled);
    if (bytesRead === 0) {
      throw new AgentError(
        "S3_FILE_CHANGED",
        `Cannot upload ${formatS3Name(object)}: the file is only ${start + filled} bytes long by now`,
      );
    }
    filled += bytesRead;
  }
  return buffer;
}
