/**
 * Addresses and signs S3 requests: path style, so that a farm needs no wildcard DNS; AWS Signature Version 4 by aws4fetch.
 * Every byte outside RFC 3986's unreserved set is escaped before the signer sees it: it takes a literal `+` for a space.
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

/** One signed request whose answer is read whole. */
export type SendS3 = (
  url: string,
  request: { method: string; subject: string; body?: Buffer; headers?: Headers } & Pick<
    HttpRequest,
    "signal" | "retry"
  >,
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
      "Cannot use the S3 endpoint: it is no plain http:// or https:// URL",
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
  if (!key.isWellFormed()) refuse("it is no valid Unicode");
  // URL parsers resolve these segments away, escaped or not, and so would proxies.
  if (key.split("/").some((part) => part === "." || part === "..")) refuse('it has "." or ".." as a segment');
  return `${formatBucketUrl(base, bucket)}/${key.split("/").map(escapeStrictly).join("/")}${formatQuery(query)}`;
}

export function formatBucketUrl(base: string, bucket: string, query: Headers = {}): string {
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]{1,254}$/.test(bucket)) {
    throw new AgentError("S3_NO_BUCKET", `Cannot use S3 bucket "${bucket}": this is no name of a bucket`);
  }
  return `${base}/${bucket}${formatQuery(query)}`;
}

export interface SignOptions {
  region: string;
  credentials: S3Credentials | undefined;
  /** Hex SHA-256 of the body. */
  bodySha256: string;
  /** Headers that are signed with the request and sent with it. */
  headers?: Headers;
  /** Where the server's clock is ahead of ours. */
  clockOffsetMs: () => number;
}

/** Signs every attempt afresh: a signature holds for 15 minutes only. Without credentials nothing is signed. */
export function createS3Authorize({
  region,
  credentials,
  bodySha256,
  headers,
  clockOffsetMs,
}: SignOptions): Authorize {
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
