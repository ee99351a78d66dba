/**
 * What the destinations for results have in common. A file counts as uploaded when the destination has shown that it holds
 * exactly its bytes.
 */
import { createHash } from "node:crypto";
import { AgentError, type ErrorCode } from "../../errors.ts";
import type { ErrorResponse, HttpRequest } from "../http/http-message.ts";
import type { UploadedFile } from "../http/uploaded-file.ts";
import type { RetryLimits } from "../limits.ts";

/** A snapshot of one file. */
export interface ResultUpload {
  /** Path below the destination, with `/` between its components. */
  name: string;
  sizeBytes: number;
  /** In lower-case hex, as `md5`. */
  sha256: string;
  md5: string;
  body: Buffer | UploadedFile;
}

export interface PutOptions {
  signal: AbortSignal;
  retry?: Partial<RetryLimits>;
}

export interface ResultsUploader {
  /** The destination, for the log, without secrets. */
  readonly destination: string;
  /**
   * Resolves when the destination has stored the file, as far as it lets us check that.
   * Throws UPLOAD_MISMATCH and the errors of the transport.
   */
  put(upload: ResultUpload, options: PutOptions): Promise<void>;
}

/** Response bodies of uploads are not used. */
const RESPONSE_MAX_BYTES = 1024 * 1024;

/** The fields of an upload by HTTP that are the same for results and for the log. */
export function createUploadRequest(token: string | undefined) {
  return {
    maxBytes: RESPONSE_MAX_BYTES,
    acceptsHtml: true,
    authorize:
      token === undefined
        ? undefined
        : async ({ challenge }: { challenge?: object }) =>
            challenge ? undefined : { authorization: `Bearer ${token}` },
    explainError({ status }: ErrorResponse) {
      if (status !== 401 && status !== 403) return undefined;
      const reason = `status ${status}${token === undefined ? ", and there is no token" : ""}`;
      return { code: "UPLOAD_REFUSED" as const, reason };
    },
  } satisfies HttpRequest;
}

/** Whether an ETag may be the MD5 of an object, or of the MD5s of its parts as Amazon builds it. */
export function isContentEtag(etag: string | undefined): etag is string {
  return etag !== undefined && /^[0-9a-f]{32}(-\d+)?$/.test(etag);
}

/** Hex SHA-256 of a stored object; undefined when the destination refuses to show it, with one of these codes. */
export async function hashStored(
  open: () => Promise<{ body: AsyncIterable<Buffer> }>,
  refusals: readonly ErrorCode[],
): Promise<string | undefined> {
  try {
    const { body } = await open();
    const hash = createHash("sha256");
    for await (const chunk of body) hash.update(chunk);
    return hash.digest("hex");
  } catch (error) {
    if (!hasCode(error, refusals)) throw error;
    return undefined;
  }
}

export function hasCode(error: unknown, codes: readonly ErrorCode[]): boolean {
  return error instanceof AgentError && codes.includes(error.code);
}

export function createMismatch({ name }: ResultUpload, destination: string, stored: string): AgentError {
  return new AgentError(
    "UPLOAD_MISMATCH",
    `Cannot upload "${name}" to "${destination}": it stored ${stored}`,
  );
}
