/**
 * Parses the XML responses of S3: errors, listings, the ids of multipart uploads. Document types are refused; S3 sends none.
 * Amazon S3 API reference, "REST Error Responses" and ListObjectsV2.
 */
import { XMLParser, XMLValidator } from "fast-xml-parser";
import { AgentError, type ErrorCode } from "../../errors.ts";
import type { Failure } from "../http/failure.ts";
import type { ErrorResponse } from "../http/http-message.ts";

export interface S3ListPage {
  objects: S3ListedObject[];
  /** Present when there are more pages. */
  continuationToken?: string;
}

export interface S3ListedObject {
  key: string;
  sizeBytes: number;
  etag: string;
  /** Of the last change, by the service's clock. */
  modifiedMs?: number;
}

type XmlNode = Readonly<Record<string, unknown>>;

const PARSER = new XMLParser({
  parseTagValue: false,
  ignoreAttributes: true,
  trimValues: false,
  processEntities: true,
});

const CODES: Readonly<Record<string, { code: ErrorCode; isTransient?: boolean }>> = {
  AccessDenied: { code: "S3_ACCESS_DENIED" },
  AccountProblem: { code: "S3_ACCESS_DENIED" },
  ExpiredToken: { code: "S3_BAD_CREDENTIALS" },
  InternalError: { code: "S3_SERVER_ERROR", isTransient: true },
  InvalidAccessKeyId: { code: "S3_BAD_CREDENTIALS" },
  InvalidToken: { code: "S3_BAD_CREDENTIALS" },
  NoSuchBucket: { code: "S3_NO_BUCKET" },
  NoSuchKey: { code: "S3_NO_KEY" },
  NoSuchUpload: { code: "S3_NO_SUCH_UPLOAD" },
  OperationAborted: { code: "S3_SERVER_ERROR", isTransient: true },
  RequestTimeTooSkewed: { code: "S3_CLOCK_SKEW" },
  RequestTimeout: { code: "S3_SERVER_ERROR", isTransient: true },
  ServiceUnavailable: { code: "S3_SERVER_ERROR", isTransient: true },
  SignatureDoesNotMatch: { code: "S3_BAD_CREDENTIALS" },
  SlowDown: { code: "S3_SERVER_ERROR", isTransient: true },
};

/** The failure by S3's own error code where there is one, else by the status. */
export function explainS3Error({ status, body }: ErrorResponse): Partial<Failure> {
  const s3Code = readS3ErrorCode(body);
  const reason = `status ${status}${s3Code === undefined ? "" : ` (${s3Code})`}`;
  const known = CODES[s3Code ?? ""];
  if (known) return { reason, ...known };
  if (status === 403) return { reason, code: "S3_ACCESS_DENIED" };
  if (status === 401) return { reason, code: "S3_BAD_CREDENTIALS" };
  // The response to HEAD has no body that tells a missing bucket from a missing key.
  if (status === 404) return { reason, code: "S3_NO_KEY" };
  if (status >= 500 || status === 429) return { reason, code: "S3_SERVER_ERROR" };
  return { reason, code: "S3_REJECTED" };
}

/** The `Code` of an `Error` document; undefined for anything else, such as a proxy's page. */
export function readS3ErrorCode(body: Buffer): string | undefined {
  const error = parseXml(body)?.Error;
  const code = isNode(error) ? error.Code : undefined;
  return typeof code === "string" && /^[A-Za-z.]{1,64}$/.test(code) ? code : undefined;
}

/** Throws S3_BAD_RESPONSE. */
export function parseListPage(body: Buffer): S3ListPage {
  const result = readRoot(body, "ListBucketResult");
  const isEscaped = text(result, "EncodingType") === "url";
  const contents = result.Contents ?? [];
  const objects = (Array.isArray(contents) ? contents : [contents]).map((entry: unknown): S3ListedObject => {
    const node = isNode(entry) ? entry : {};
    const rawKey = text(node, "Key");
    const size = text(node, "Size") ?? "";
    const key = rawKey !== undefined && isEscaped ? unescapeKey(rawKey) : rawKey;
    if (key === undefined || !/^\d{1,15}$/.test(size))
      throw createResponseError("an entry has no key or no size");
    const etag = (text(node, "ETag") ?? "").replace(/^"|"$/g, "");
    const modifiedMs = Date.parse(text(node, "LastModified") ?? "");
    return {
      key,
      sizeBytes: Number(size),
      etag,
      modifiedMs: Number.isFinite(modifiedMs) ? modifiedMs : undefined,
    };
  });
  const token = text(result, "NextContinuationToken");
  if (text(result, "IsTruncated") !== "true") return { objects };
  if (!token) throw createResponseError("a truncated page has no token");
  return { objects, continuationToken: token };
}

/** Throws S3_BAD_RESPONSE. */
export function parseUploadId(body: Buffer): string {
  const id = text(readRoot(body, "InitiateMultipartUploadResult"), "UploadId");
  if (!id) throw createResponseError("no UploadId");
  return id;
}

/** Undefined where the service does not send it. */
export function readCompletedEtag(body: Buffer): string | undefined {
  const result = parseXml(body)?.CompleteMultipartUploadResult;
  return isNode(result) ? text(result, "ETag") : undefined;
}

export function formatPartList(etags: readonly string[]): Buffer {
  const parts = etags.map(
    (etag, index) => `<Part><PartNumber>${index + 1}</PartNumber><ETag>${escapeXml(etag)}</ETag></Part>`,
  );
  return Buffer.from(`<CompleteMultipartUpload>${parts.join("")}</CompleteMultipartUpload>`);
}

function readRoot(body: Buffer, name: string): XmlNode {
  const root = parseXml(body)?.[name];
  if (root === "") return {};
  if (!isNode(root)) throw createResponseError(`no ${name}`);
  return root;
}

function parseXml(body: Buffer): XmlNode | undefined {
  const source = body.toString("utf8");
  if (source.trim() === "" || source.includes("<!DOCTYPE") || XMLValidator.validate(source) !== true)
    return undefined;
  const parsed: unknown = PARSER.parse(source);
  return isNode(parsed) ? parsed : undefined;
}

function text(node: XmlNode, field: string): string | undefined {
  const value = node[field];
  return typeof value === "string" ? value : undefined;
}

function isNode(value: unknown): value is XmlNode {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** `encoding-type=url` is the form encoding: Amazon writes a space as `+`. */
function unescapeKey(key: string): string {
  try {
    return decodeURIComponent(key.replace(/\+/g, " "));
  } catch (cause) {
    throw createResponseError(`invalid key "${key}"`, cause);
  }
}

function escapeXml(value: string): string {
  return value.replace(/[<>&"']/g, (char) => `&#${char.charCodeAt(0)};`);
}

function createResponseError(reason: string, cause?: unknown): AgentError {
  return new AgentError("S3_BAD_RESPONSE", `Cannot read the response of the S3 service: ${reason}`, {
    cause,
  });
}
