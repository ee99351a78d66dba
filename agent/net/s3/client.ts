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

export interface S3ClientOptions {
  endpoint: S3Endpoint;
  /** Without credentials requests are anonymous. */
  credentials?: S3Credentials;
  partBytes?: number;
}

export interface S3PutOptions extends Pick<HttpRequest, "retry" | "signal"> {
  contentType?: string;
  /** The object's own, by names without `x-amz-meta-`. */
  metadata?: Headers;
  /** Headers of every request that carries content: the service's encryption key. */
  contentHeaders?: Headers;
}

type S3GetFields = "range" | "ranges" | "suffixBytes" | "maxBytes" | "hasDigest" | "headers" | "signal";

export interface S3GetOptions extends Pick<HttpRequest, S3GetFields> {
  /** Called where S3's own error code explains nothing. */
  explainRefusal?: NonNullable<HttpRequest["explainError"]>;
}

/** Methods throw S3_*, HTTP_* and FETCH_* errors. */
export class S3Client {
  readonly #http: HttpClient;
  readonly #options: S3ClientOptions;
  readonly #base: string;
  #clockOffsetMs = 0;

  constructor(http: HttpClient, options: S3ClientOptions) {
    this.#http = http;
    this.#options = options;
    this.#base = parseS3Endpoint(options.endpoint);
  }

  async putObject(
    object: S3Object,
    body: Buffer | UploadedFile,
    options: S3PutOptions = {},
  ): Promise<StoredObject> {
    const { contentType = "application/octet-stream", metadata = {}, contentHeaders = {} } = options;
    const { retry, signal } = options;
    const name = formatS3Name(object);
    const headers: Record<string, string> = { "content-type": contentType };
    for (const [key, value] of Object.entries(metadata)) headers[`x-amz-meta-${key}`] = value;

    const putBuffer = async (content: Buffer): Promise<StoredObject> => {
      const { headers: response } = await this.#send(formatObjectUrl(this.#base, object), {
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
    const { partBytes = S3_PART_BYTES } = this.#options;
    const file = await open(path, "r");
    try {
      const readPart = (start: number, length: number) => readExactly(file, start, length, name);
      if (sizeBytes <= partBytes) return await putBuffer(await readPart(0, sizeBytes));
      const requests = { base: this.#base, object, headers, contentHeaders, retry, signal };
      const stored = await putMultipart(this.#send, { ...requests, sizeBytes, partBytes, readPart });
      return describeStored(stored.etag, stored.contentEtag, stored.headers);
    } finally {
      await file.close();
    }
  }

  async headObject(
    object: S3Object,
    { signal }: { signal?: AbortSignal } = {},
  ): Promise<{ sizeBytes?: number; etag?: string }> {
    const subject = `look for ${formatS3Name(object)}`;
    const { headers } = await this.#send(formatObjectUrl(this.#base, object), {
      method: "HEAD",
      subject,
      signal,
    });
    const { "content-length": length, etag } = headers;
    return { sizeBytes: length === undefined ? undefined : Number(length), etag: unquote(etag) };
  }

  /** The body throws the same errors. `hasDigest` as in HttpRequest. */
  getObject(object: S3Object, { explainRefusal, ...fields }: S3GetOptions = {}): Promise<HttpResponse> {
    const subject = `fetch ${formatS3Name(object)}`;
    const request = this.#sign({ subject, acceptsHtml: true, ...fields });
    return this.#http.fetch(formatObjectUrl(this.#base, object), {
      ...request,
      explainError(response) {
        const failure = request.explainError!(response);
        return failure?.code === "S3_REJECTED" ? { ...failure, ...explainRefusal?.(response) } : failure;
      },
    });
  }

  /** Yields all objects below the prefix, in the service's order, page after page. */
  async *listObjects(
    { bucket, prefix }: { bucket: string; prefix: string },
    { pageKeys, signal }: { pageKeys?: number; signal?: AbortSignal } = {},
  ): AsyncGenerator<S3ListedObject> {
    const subject = `list "s3://${bucket}/${prefix}"`;
    let token: string | undefined;
    do {
      const query: Record<string, string> = { "list-type": "2", "encoding-type": "url" };
      if (pageKeys) query["max-keys"] = String(pageKeys);
      if (prefix) query.prefix = prefix;
      if (token) query["continuation-token"] = token;
      const url = formatBucketUrl(this.#base, bucket, query);
      const page = parseListPage((await this.#send(url, { method: "GET", subject, signal })).bytes);
      yield* page.objects;
      if (token !== undefined && page.continuationToken === token)
        throw new AgentError("S3_BAD_RESPONSE", `Cannot ${subject}: the service sent the same page twice`);
      token = page.continuationToken;
    } while (token !== undefined);
  }

  /** Succeeds for an object that does not exist. */
  async deleteObject(object: S3Object, { signal }: { signal?: AbortSignal } = {}): Promise<void> {
    const subject = `delete ${formatS3Name(object)}`;
    try {
      await this.#send(formatObjectUrl(this.#base, object), { method: "DELETE", subject, signal });
    } catch (error) {
      if (!(error instanceof AgentError && error.code === "S3_NO_KEY")) throw error;
    }
  }

  readonly #send: SendS3 = (url, request) =>
    fetchBytes(this.#http, url, { ...this.#sign(request), maxBytes: S3_XML_MAX_BYTES });

  #sign(request: HttpRequest & { body?: Buffer }): HttpRequest {
    return {
      ...request,
      isIdempotent: true,
      signsUrls: true,
      authorize: createS3Authorize({
        region: this.#options.endpoint.region,
        credentials: this.#options.credentials,
        bodySha256: createHash("sha256")
          .update(request.body ?? "")
          .digest("hex"),
        clockOffsetMs: () => this.#clockOffsetMs,
        headers: request.headers,
      }),
      explainError: (response) => {
        const failure = explainS3Error(response);
        if (failure.code !== "S3_CLOCK_SKEW") return failure;
        // A board with a wrong clock can still upload its results: the server's date shows the difference.
        const offsetMs = Date.parse(response.headers.date ?? "") - Date.now();
        if (!(Math.abs(offsetMs - this.#clockOffsetMs) > 60_000)) return failure;
        this.#clockOffsetMs = offsetMs;
        return { ...failure, isTransient: true };
      },
    };
  }
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
