/**
 * The job's S3 service, with the credentials that this machine was given for it.
 */

import type { S3Endpoint } from "../job/job.ts";
import type { HttpClient } from "../net/http/http-message.ts";
import { parseAwsCredentials } from "../net/s3/aws-credentials.ts";
import { S3Client } from "../net/s3/client.ts";
import type { Redaction } from "../redaction/redaction.ts";
import type { Credentials } from "../sys/machine/credentials.ts";

export interface S3ConnectOptions {
  http: HttpClient;
  credentials: Credentials;
  redaction: Redaction;
}

/** Throws CREDENTIAL_BAD_FILE; without credentials requests go out unsigned. */
export async function connectS3(
  endpoint: S3Endpoint,
  { http, credentials, redaction }: S3ConnectOptions,
): Promise<S3Client> {
  const bytes = await credentials.read("s3");
  if (!bytes) return new S3Client(http, { endpoint });
  const keys = parseAwsCredentials(bytes.toString());
  redaction.hide(keys.secretKey);
  redaction.hide(keys.sessionToken ?? "");
  return new S3Client(http, { endpoint, credentials: keys });
}
