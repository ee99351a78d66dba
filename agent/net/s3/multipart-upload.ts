/**
 * Uploads a large object in parts, two at a time: memory is limited to two parts, and an interruption costs one of them.
 * Amazon S3 user guide, "Multipart upload".
 */
import { createHash } from "node:crypto";
import { AgentError } from "../../errors.ts";
import type { Headers, HttpRequest } from "../http/http-message.ts";
import { S3_COMPLETE_SILENCE_MS, S3_MAX_PARTS, S3_PARTS_AT_A_TIME } from "../limits.ts";
import { formatObjectUrl, formatS3Name, type S3Object, type SendS3 } from "./request.ts";
import { formatPartList, parseUploadId, readCompletedEtag, readS3ErrorCode } from "./xml.ts";

export interface MultipartUpload extends Pick<HttpRequest, "retry" | "signal"> {
  base: string;
  object: S3Object;
  sizeBytes: number;
  partBytes: number;
  /** Of the object: its type and metadata. */
  headers: Headers;
  /** Of every request that carries content. */
  contentHeaders: Headers;
  readPart(start: number, length: number): Promise<Buffer>;
}

interface StoredParts {
  etag?: string;
  /** What the ETag is if it is made of MD5s. */
  contentEtag: string;
  /** Of the response that began the upload. */
  headers: Headers;
}

export async function putMultipart(send: SendS3, upload: MultipartUpload): Promise<StoredParts> {
  const { base, object, sizeBytes, contentHeaders, readPart, retry } = upload;
  const name = formatS3Name(object);
  const stop = new AbortController();
  const signal = upload.signal ? AbortSignal.any([upload.signal, stop.signal]) : stop.signal;
  const partBytes = Math.max(upload.partBytes, Math.ceil(sizeBytes / S3_MAX_PARTS));
  const partCount = Math.ceil(sizeBytes / partBytes);

  const started = await send(formatObjectUrl(base, object, { uploads: "" }), {
    method: "POST",
    subject: `start the upload of ${name}`,
    headers: { ...contentHeaders, ...upload.headers },
    retry,
    signal,
  });
  const uploadId = parseUploadId(started.bytes);

  const etags: string[] = [];
  const digests: Buffer[] = [];
  const indexes = Array.from({ length: partCount }, (_, index) => index).values();
  const putParts = async (): Promise<void> => {
    for (const index of indexes) {
      const start = index * partBytes;
      const body = await readPart(start, Math.min(partBytes, sizeBytes - start));
      const query = { partNumber: String(index + 1), uploadId };
      const { headers } = await send(formatObjectUrl(base, object, query), {
        method: "PUT",
        subject: `upload part ${index + 1} of ${partCount} of ${name}`,
        headers: contentHeaders,
        body,
        retry,
        signal,
      });
      if (!headers.etag)
        throw new AgentError("S3_BAD_RESPONSE", `Cannot upload ${name}: no ETag for part ${index + 1}`);
      etags[index] = headers.etag;
      digests[index] = createHash("md5").update(body).digest();
    }
  };

  try {
    const workers = Array.from({ length: Math.min(S3_PARTS_AT_A_TIME, partCount) }, putParts);
    await Promise.all(workers).catch(async (error: unknown) => {
      stop.abort(error);
      await Promise.allSettled(workers);
      throw error;
    });
    const etag = await complete(send, { base, object, sizeBytes }, uploadId, etags, signal);
    const md5 = createHash("md5").update(Buffer.concat(digests)).digest("hex");
    return { etag: etag || undefined, contentEtag: `${md5}-${partCount}`, headers: started.headers };
  } catch (error) {
    // The service keeps and bills the parts of an incomplete upload. If the deletion fails too, the first error counts.
    await send(formatObjectUrl(base, object, { uploadId }), {
      method: "DELETE",
      subject: `abort the upload of ${name}`,
      retry: { budgetMs: 0 },
      signal: upload.signal?.aborted ? undefined : upload.signal,
    }).catch(() => {});
    throw error;
  }
}

/** Resolves with the object's ETag, where the service sends it. */
async function complete(
  send: SendS3,
  { base, object, sizeBytes }: Pick<MultipartUpload, "base" | "object" | "sizeBytes">,
  uploadId: string,
  etags: readonly string[],
  signal: AbortSignal,
): Promise<string | undefined> {
  const name = formatS3Name(object);
  try {
    const { bytes } = await send(formatObjectUrl(base, object, { uploadId }), {
      method: "POST",
      subject: `complete the upload of ${name}`,
      body: formatPartList(etags),
      retry: { silenceMs: S3_COMPLETE_SILENCE_MS },
      signal,
    });
    // S3 may send a 200 before it knows that the completion fails.
    const s3Code = readS3ErrorCode(bytes);
    if (s3Code !== undefined)
      throw new AgentError("S3_SERVER_ERROR", `Cannot complete the upload of ${name}: ${s3Code}`);
    return readCompletedEtag(bytes);
  } catch (error) {
    if (!(error instanceof AgentError && error.code === "S3_NO_SUCH_UPLOAD")) throw error;
    // Where only the response to the first try was lost, a retry finds no upload, but the object is complete.
    const subject = `look for ${name}`;
    const found = await send(formatObjectUrl(base, object), { method: "HEAD", subject, signal }).catch(
      () => null,
    );
    if (found?.headers["content-length"] !== String(sizeBytes)) throw error;
    return undefined;
  }
}
