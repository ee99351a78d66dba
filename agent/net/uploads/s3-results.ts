/**
 * Results as objects of an S3 service. Each request carries the hash of its bytes; that the service has kept them is shown by
 * the object's ETag where that is an MD5 (Amazon S3 API, "Object"), else by its size, and in doubt by reading it back.
 */
import { AgentError, type ErrorCode } from "../../errors.ts";
import type { S3Client } from "../s3/client.ts";
import type { S3Object } from "../s3/request.ts";
import {
  createMismatch,
  hashBody,
  isContentEtag,
  type PutOptions,
  type ResultsUploader,
  type ResultUpload,
} from "./results-uploader.ts";

/** Each file as an object `PREFIX/NAME`; the prefix may be empty. */
export function createS3Results(
  s3: S3Client,
  { bucket, prefix }: { bucket: string; prefix: string },
): ResultsUploader {
  const place = `s3://${bucket}/${prefix}`;
  /** Until the service shows that its ETags are something else. */
  let hasContentEtags = true;

  const checkSize = async (upload: ResultUpload, object: S3Object, { signal }: PutOptions) => {
    try {
      const { sizeBytes } = await s3.headObject(object, { signal });
      if (sizeBytes !== upload.sizeBytes)
        throw createMismatch(
          upload,
          place,
          `${sizeBytes ?? "an unknown number of"} bytes of ${upload.sizeBytes}`,
        );
    } catch (error) {
      if (isCode(error, "S3_NO_KEY")) throw createMismatch(upload, place, "nothing of it");
      if (!isRefusal(error)) throw error;
    }
  };

  const readBack = async (object: S3Object, { signal }: PutOptions): Promise<string | undefined> => {
    try {
      const { body } = await s3.getObject(object, { signal });
      return await hashBody(body);
    } catch (error) {
      if (!isRefusal(error)) throw error;
      return undefined;
    }
  };

  return {
    place,
    async put(upload, options) {
      const object = { bucket, key: prefix ? `${prefix}/${upload.name}` : upload.name };
      const stored = await s3.putObject(object, upload.body, options);
      if (stored.etag === stored.contentEtag) return;
      if (!hasContentEtags || stored.isEncrypted || !isContentEtag(stored.etag))
        return checkSize(upload, object, options);
      if ((await readBack(object, options)) !== upload.sha256)
        throw createMismatch(upload, place, `other bytes, with the ETag "${stored.etag}"`);
      hasContentEtags = false;
    },
  };
}

/** Keys that may write and not read: the service has checked the hash that every request was signed with. */
function isRefusal(error: unknown): boolean {
  return isCode(error, "S3_ACCESS_DENIED", "S3_REJECTED");
}

function isCode(error: unknown, ...codes: ErrorCode[]): boolean {
  return error instanceof AgentError && codes.includes(error.code);
}
