/**
 * What places for results have in common: a file counts as uploaded when the place has shown that it has these very bytes.
 */
import { createHash } from "node:crypto";
import { AgentError } from "../../errors.ts";
import type { RetryLimits } from "../limits.ts";

/** One file as it is at one moment. */
export interface ResultUpload {
  /** Path below the place, with `/` between parts. */
  name: string;
  sizeBytes: number;
  /** Lower-case hex, as `md5`. */
  sha256: string;
  md5: string;
  body: Buffer | { path: string; sizeBytes: number };
}

export interface PutOptions {
  signal: AbortSignal;
  retry?: Partial<RetryLimits>;
}

/** As the upload phase wants it. */
export interface ResultsUploader {
  /** For the log, without secrets. */
  readonly place: string;
  /** Resolves when the place has it for good, checked as well as the place allows. Throws UPLOAD_MISMATCH and what transfers do. */
  put(upload: ResultUpload, options: PutOptions): Promise<void>;
}

/** Whether an ETag may be the MD5 of one piece, or of several as Amazon puts them together; others say nothing of the bytes. */
export function isContentEtag(etag: string | undefined): etag is string {
  return etag !== undefined && /^[0-9a-f]{32}(-\d+)?$/.test(etag);
}

/** Without its quotes and its mark of weakness. */
export function readEtag(header: string | undefined): string | undefined {
  return header === undefined ? undefined : /^(?:W\/)?"?([^"]*)"?$/.exec(header)?.[1];
}

export async function hashBody(body: AsyncIterable<Buffer>): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of body) hash.update(chunk);
  return hash.digest("hex");
}

export function createMismatch({ name }: ResultUpload, place: string, has: string): AgentError {
  return new AgentError("UPLOAD_MISMATCH", `Cannot upload "${name}" to "${place}": the place has ${has}`);
}
