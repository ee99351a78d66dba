/**
 * The credential `s3`: the shared credentials file of AWS's tools, profile `default`.
 * Format: AWS SDKs and Tools Reference Guide, "Shared config and credentials files".
 */
import { AgentError } from "../../errors.ts";
import type { S3Credentials } from "./request.ts";

/** Throws CREDENTIAL_BAD_FILE, with a message that does not quote the file. */
export function parseAwsCredentials(text: string): S3Credentials {
  const values = new Map<string, string>();
  let profile = "default";
  for (const line of text.split(/\r?\n/)) {
    const header = /^\s*\[\s*(\S+)\s*\]\s*$/.exec(line);
    const pair = /^\s*([\w-]+)\s*=\s*(.*?)\s*$/.exec(line);
    if (header) profile = header[1]!;
    else if (pair && profile === "default") values.set(pair[1]!.toLowerCase(), pair[2]!);
  }
  const accessKey = values.get("aws_access_key_id");
  const secretKey = values.get("aws_secret_access_key");
  if (!accessKey || !secretKey) {
    const missing = accessKey ? "aws_secret_access_key" : "aws_access_key_id";
    throw new AgentError(
      "CREDENTIAL_BAD_FILE",
      `Cannot use credential "s3": its profile "default" has no "${missing}"`,
    );
  }
  const sessionToken = values.get("aws_session_token");
  return { accessKey, secretKey, sessionToken: sessionToken || undefined };
}
