/** One file of results for the uploaders, with the hashes of its bytes. */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import type { ResultUpload } from "../../agent/net/uploads/results-uploader.ts";

export function describeUpload(name: string, body: ResultUpload["body"]): ResultUpload {
  const bytes = Buffer.isBuffer(body) ? body : readFileSync(body.path);
  const hash = (algorithm: string) => createHash(algorithm).update(bytes).digest("hex");
  const sizeBytes = Buffer.isBuffer(body) ? body.length : body.sizeBytes;
  return { name, body, sizeBytes, sha256: hash("sha256"), md5: hash("md5") };
}
