/**
 * Builds the URLs of S3 requests and signs them. URLs are path-style, so that a farm needs no wildcard DNS. aws4fetch computes
 * AWS Signature Version 4; it takes a literal `+` for a space, so every byte outside RFC 3986's unreserved set is escaped first.
 */
import { AwsV4Signer } from "aws4fetch";
import { AgentError } from "../../errors.ts";
import type { S3Endpoint } from "../../job/job.ts";
import type { Authorize, Headers, HttpRequest } from "../http/http-message.ts";
import { S3_MAX_KEY_BYTES } from "../limits.ts";

export interface S3Credentials {
  accessKey: string;
  secretKey: string;
  sessionToken?: string;
}

export interface S3Object {
  bucket: string;
  key: string;
}

/** Sends one signed request and reads the whole response. */
export type SendS3 = (
  url: string,
  request: Pick<HttpRequest, "method" | "headers" | "signal" | "retry"> & { subject: string; body?: Buffer },
) => Promise<{ headers: Headers; bytes: Buffer }>;

export function formatS3Name({ bucket, key }: S3Object): string {
  return `"s3://${bucket}/${key}"`;
}

/** The service's base URL without a trailing slash; throws S3_BAD_ENDPOINT. */
export function parseS3Endpoint({ url }: S3Endpoint): string {
  const parsed = URL.parse(url);
  const isHttp = parsed?.protocol === "http:" || parsed?.protocol === "https:";
  if (!parsed || !isHttp || parsed.search || parsed.hash || parsed.username || parsed.password) {
    throw new AgentError(
      "S3_BAD_ENDPOINT",
      "Cannot use the S3 endpoint: not an http:// or https:// URL without credentials, query and fragment",
    );
  }
  return parsed.href.replace(/\/+$/, "");
}

export function formatObjectUrl(base: string, { bucket, key }: S3Object, query: Headers = {}): string {
  const refuse = (why: string): never => {
    throw new AgentError("S3_BAD_KEY", `Cannot use S3 key "${key}": ${why}`);
  };
  if (key === "") refuse("it is empty");
  if (Buffer.byteLength(key) > S3_MAX_KEY_BYTES) refuse(`it is longer than ${S3_MAX_KEY_BYTES} bytes`);
  if (!key.isWellFormed()) refuse("it is not valid Unicode");
  // URL parsers and proxies resolve these segments, escaped or not.
  if (key.split("/").some((part) => part === "." || part === "..")) refuse('it has "." or ".." as a segment');
  return `${formatBucketUrl(base, bucket)}/${key.split("/").map(escapeStrictly).join("/")}${formatQuery(query)}`;
}

export function formatBucketUrl(base: string, bucket: string, query: Headers = {}): string {
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]{1,254}$/.test(bucket)) {
    throw new AgentError("S3_NO_BUCKET", `Cannot use S3 bucket "${bucket}": invalid bucket name`);
  }
  return `${base}/${bucket}${formatQuery(query)}`;
}

export interface SignOptions {
  region: string;
  credentials: S3Credentials | undefined;
  /** Hex SHA-256 of the body. */
  bodySha256: string;
  /** Headers of the request that are signed too. */
  headers?: Headers;
  /** By how much the server's clock is ahead of ours. */
  clockOffsetMs: () => number;
}

/** Signs every attempt anew: a signature is valid for 15 minutes. Without credentials nothing is signed. */
export function createS3Authorize(options: SignOptions): Authorize {
  const { region, credentials, bodySha256, headers, clockOffsetMs } = options;
  return async ({ method, url, challenge }) => {
    if (challenge || !credentials) return undefined;
    const signer = new AwsV4Signer({
      method,
      url: url.href,
      headers: { ...headers, "x-amz-content-sha256": bodySha256 },
      accessKeyId: credentials.accessKey,
      secretAccessKey: credentials.secretKey,
      service: "s3",
      region,
      datetime: new Date(Date.now() + clockOffsetMs()).toISOString().replace(/[:-]|\.\d{3}/g, ""),
      sessionToken: credentials.sessionToken,
    });
    const signed = await signer.sign();
    return Object.fromEntries(signed.headers.entries());
  };
}

function formatQuery(query: Headers): string {
  const pairs = Object.entries(query).map(
    ([name, value]) => `${escapeStrictly(name)}=${escapeStrictly(value)}`,
  );
  return pairs.length > 0 ? `?${pairs.join("&")}` : "";
}

function escapeStrictly(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

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
