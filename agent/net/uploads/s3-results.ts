/**
 * Uploads results as objects of an S3 service. Every request carries the hash of its bytes. What the service stored is checked
 * by the object's ETag where that is an MD5 (Amazon S3 API, "Object"), else by its size, and in doubt by reading it back.
 */
import type { S3Client } from "../s3/client.ts";
import type { S3Object } from "../s3/request.ts";
import {
  createMismatch,
  hasCode,
  hashStored,
  isContentEtag,
  type ResultsUploader,
  type ResultUpload,
} from "./results-uploader.ts";

/** The key may write but not read: the service has checked the signed hash of every request. */
const REFUSALS = ["S3_ACCESS_DENIED", "S3_REJECTED"] as const;

/** Each file becomes the object `PREFIX/NAME`; the prefix may be empty. */
export function createS3Results(
  s3: S3Client,
  { bucket, prefix }: { bucket: string; prefix: string },
): ResultsUploader {
  const destination = `s3://${bucket}/${prefix}`;
  /** Until an ETag turns out to be something else. */
  let hasContentEtags = true;

  const checkSize = async (upload: ResultUpload, object: S3Object, signal: AbortSignal) => {
    try {
      const { sizeBytes = "an unknown number" } = await s3.headObject(object, { signal });
      if (sizeBytes !== upload.sizeBytes)
        throw createMismatch(upload, destination, `${sizeBytes} of ${upload.sizeBytes} bytes`);
    } catch (error) {
      if (hasCode(error, ["S3_NO_KEY"])) throw createMismatch(upload, destination, "nothing");
      if (!hasCode(error, REFUSALS)) throw error;
    }
  };

  return {
    destination,
    async put(upload, options) {
      const { signal } = options;
      const object = { bucket, key: prefix ? `${prefix}/${upload.name}` : upload.name };
      const stored = await s3.putObject(object, upload.body, options);
      if (stored.etag === stored.contentEtag) return;
      if (!hasContentEtags || stored.isEncrypted || !isContentEtag(stored.etag))
        return checkSize(upload, object, signal);
      if ((await hashStored(() => s3.getObject(object, { signal }), REFUSALS)) !== upload.sha256)
        throw createMismatch(upload, destination, `other bytes, with the ETag "${stored.etag}"`);
      hasContentEtags = false;
    },
  };
}
