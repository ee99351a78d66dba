/**
 * Uploads a large object in parts, two at a time: memory stays at two parts whatever the size, and a broken connection
 * costs one of them. Amazon S3 user guide, "Multipart upload".
 */
import { createHash } from "node:crypto";
import { AgentError } from "../../errors.ts";
import type { Headers, HttpRequest } from "../http/http-message.ts";
import { S3_COMPLETE_SILENCE_MS, S3_MAX_PARTS, S3_PARTS_AT_A_TIME } from "../limits.ts";
import { formatObjectUrl, formatS3Name, type S3Object, type SendS3 } from "./request.ts";
import { formatPartList, parseUploadId, readCompletedEtag, readS3ErrorCode } from "./xml.ts";

export interface MultipartUpload {
  base: string;
  object: S3Object;
  sizeBytes: number;
  partBytes: number;
  /** Of the object: its type and metadata. */
  headers: Headers;
  /** Of every request that carries content. */
  contentHeaders: Headers;
  readPart(start: number, length: number): Promise<Buffer>;
  retry?: NonNullable<HttpRequest["retry"]>;
  signal?: AbortSignal;
}

/** What the service said of the whole, and what its ETag is where it is made of MD5s. */
interface PutParts {
  etag?: string;
  contentEtag: string;
  /** Of the answer that began the upload. */
  headers: Headers;
}

export async function putMultipart(send: SendS3, upload: MultipartUpload): Promise<PutParts> {
  const { base, object, sizeBytes, readPart, retry } = upload;
  const name = formatS3Name(object);
  const stop = new AbortController();
  const signal = upload.signal ? AbortSignal.any([upload.signal, stop.signal]) : stop.signal;
  const partBytes = Math.max(upload.partBytes, Math.ceil(sizeBytes / S3_MAX_PARTS));
  const partCount = Math.ceil(sizeBytes / partBytes);

  const started = await send(formatObjectUrl(base, object, { uploads: "" }), {
    method: "POST",
    subject: `start the upload of ${name}`,
    headers: { ...upload.contentHeaders, ...upload.headers },
    retry,
    signal,
  });
  const uploadId = parseUploadId(started.bytes);

  const etags: string[] = [];
  const digests: Buffer[] = [];
  const waiting = Array.from({ length: partCount }, (_, index) => index).values();
  const putNext = async (): Promise<void> => {
    for (const index of waiting) {
      const start = index * partBytes;
      const body = await readPart(start, Math.min(partBytes, sizeBytes - start));
      const query = { partNumber: String(index + 1), uploadId };
      const { headers } = await send(formatObjectUrl(base, object, query), {
        method: "PUT",
        subject: `upload part ${index + 1} of ${partCount} of ${name}`,
        headers: upload.contentHeaders,
        body,
        retry,
        signal,
      });
      const etag = headers.etag;
      if (!etag) {
        throw new AgentError(
          "S3_BAD_RESPONSE",
          `Cannot upload ${name}: part ${index + 1} was taken without an ETag`,
        );
      }
      etags[index] = etag;
      digests[index] = createHash("md5").update(body).digest();
    }
  };

  try {
    const workers = Array.from({ length: Math.min(S3_PARTS_AT_A_TIME, partCount) }, putNext);
    await Promise.all(workers).catch(async (error: unknown) => {
      stop.abort(error);
      await Promise.allSettled(workers);
      throw error;
    });
    const etag = await complete(send, upload, { uploadId, etags, name, signal });
    const md5 = createHash("md5").update(Buffer.concat(digests)).digest("hex");
    return { etag: etag || undefined, contentEtag: `${md5}-${partCount}`, headers: started.headers };
  } catch (error) {
    // Parts that nobody completes are kept and paid for; if this fails too, the first error still counts.
    await send(formatObjectUrl(base, object, { uploadId }), {
      method: "DELETE",
      subject: `give up the upload of ${name}`,
      retry: { budgetMs: 0 },
      ...(upload.signal && !upload.signal.aborted && { signal: upload.signal }),
    }).catch(() => {});
    throw error;
  }
}

async function complete(
  send: SendS3,
  { base, object, sizeBytes }: MultipartUpload,
  {
    uploadId,
    etags,
    name,
    signal,
  }: { uploadId: string; etags: readonly string[]; name: string; signal: AbortSignal },
): Promise<string | undefined> {
  try {
    const { bytes } = await send(formatObjectUrl(base, object, { uploadId }), {
      method: "POST",
      subject: `complete the upload of ${name}`,
      body: formatPartList(etags),
      retry: { silenceMs: S3_COMPLETE_SILENCE_MS },
      signal,
    });
    // S3 may have sent its 200 before it knew that it would fail.
    const s3Code = readS3ErrorCode(bytes);
    if (s3Code !== undefined) {
      throw new AgentError("S3_SERVER_ERROR", `Cannot complete the upload of ${name}: ${s3Code}`);
    }
    return readCompletedEtag(bytes);
  } catch (error) {
    if (!(error instanceof AgentError && error.code === "S3_NO_SUCH_UPLOAD")) throw error;
    // A second try finds no upload where only the answer to the first was lost: then the object is there.
    if (!(await isComplete(send, { base, object, sizeBytes, signal }))) throw error;
    return undefined;
  }
}

async function isComplete(
  send: SendS3,
  {
    base,
    object,
    sizeBytes,
    signal,
  }: { base: string; object: S3Object; sizeBytes: number; signal: AbortSignal },
): Promise<boolean> {
  try {
    const { headers } = await send(formatObjectUrl(base, object), {
      method: "HEAD",
      subject: `look for ${formatS3Name(object)}`,
      signal,
    });
    return headers["content-length"] === String(sizeBytes);
  } catch {
    return false;
  }
}
