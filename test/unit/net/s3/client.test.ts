/** S3's URLs and XML: odd keys, errors, listings. */
import { describe, expect, test } from "vitest";
import type { ErrorCode } from "../../../../agent/errors.ts";
import { formatBucketUrl, formatObjectUrl, parseS3Endpoint } from "../../../../agent/net/s3/request.ts";
import {
  explainS3Error,
  formatPartList,
  parseListPage,
  parseUploadId,
} from "../../../../agent/net/s3/xml.ts";

describe("URLs", () => {
  test.each([
    ["a/b.txt", "/bucket/a/b.txt"],
    ["a b+c", "/bucket/a%20b%2Bc"],
    ["!'()*~", "/bucket/%21%27%28%29%2A~"],
    ["?#[]%", "/bucket/%3F%23%5B%5D%25"],
    ["é//x/", "/bucket/%C3%A9//x/"],
  ])("key %s", (key, path) => {
    expect(formatObjectUrl("http://s3", { bucket: "bucket", key })).toBe(`http://s3${path}`);
    expect(new URL(`http://s3${path}`).pathname).toBe(path);
  });

  test.each(["", ".", "a/../b", "a/./b", "x".repeat(1025), "\ud800"])("refuse the key %j", (key) => {
    const refusal = expect.objectContaining({ code: "S3_BAD_KEY" });
    expect(() => formatObjectUrl("http://s3", { bucket: "bucket", key })).toThrow(refusal);
  });

  test.each(["", "a", "../x", "a/b", "a b"])("refuse the bucket %j", (bucket) => {
    expect(() => formatBucketUrl("http://s3", bucket)).toThrow(
      expect.objectContaining({ code: "S3_NO_BUCKET" }),
    );
  });

  test.each([
    ["http://s3:8080", "http://s3:8080"],
    ["https://s3/", "https://s3"],
    ["https://s3/base/", "https://s3/base"],
  ])("endpoint %s", (url, expected) => {
    expect(parseS3Endpoint({ url, region: "us-east-1" })).toBe(expected);
  });

  test.each(["", "s3", "ftp://s3", "https://u:p@s3", "https://s3/?x"])("refuse the endpoint %j", (url) => {
    expect(() => parseS3Endpoint({ url, region: "" })).toThrow(
      expect.objectContaining({ code: "S3_BAD_ENDPOINT" }),
    );
  });
});

describe("errors", () => {
  const xml = (code: string) =>
    `<?xml version="1.0"?><Error><Code>${code}</Code><Message>secret</Message></Error>`;
  test.each<[number, string, ErrorCode, boolean?]>([
    [403, xml("SignatureDoesNotMatch"), "S3_BAD_CREDENTIALS"],
    [403, xml("InvalidAccessKeyId"), "S3_BAD_CREDENTIALS"],
    [403, xml("AccessDenied"), "S3_ACCESS_DENIED"],
    [403, xml("RequestTimeTooSkewed"), "S3_CLOCK_SKEW"],
    [404, xml("NoSuchBucket"), "S3_NO_BUCKET"],
    [404, xml("NoSuchKey"), "S3_NO_KEY"],
    [404, "", "S3_NO_KEY"],
    [403, "<html>proxy</html>", "S3_ACCESS_DENIED"],
    [400, xml("InvalidArgument"), "S3_REJECTED"],
    [400, xml("RequestTimeout"), "S3_SERVER_ERROR", true],
    [503, xml("SlowDown"), "S3_SERVER_ERROR", true],
    [500, "oops", "S3_SERVER_ERROR"],
    [400, `<!DOCTYPE x [<!ENTITY a "b">]>${xml("NoSuchKey")}`, "S3_REJECTED"],
    [400, "<Error><Code>", "S3_REJECTED"],
  ])("%i %s", (status, body, code, isTransient) => {
    const failure = explainS3Error({ status, headers: {}, body: Buffer.from(body) });
    expect(failure.code).toBe(code);
    expect(failure.isTransient).toBe(isTransient);
    expect(failure.reason).not.toContain("secret");
  });
});

describe("responses", () => {
  const page = (inner: string) => Buffer.from(`<ListBucketResult xmlns="x">${inner}</ListBucketResult>`);
  const entry = (key: string) =>
    `<Contents><Key>${key}</Key><Size>3</Size><ETag>&quot;e&quot;</ETag></Contents>`;

  test.each([
    ["", []],
    [entry("a"), ["a"]],
    [entry("a&amp;b") + entry("007"), ["a&b", "007"]],
    [entry(" x "), [" x "]],
    [`<EncodingType>url</EncodingType>${entry("a%2Bb+c%20d/%C3%A9")}`, ["a+b c d/é"]],
    [entry("a%2Bb"), ["a%2Bb"]],
  ])("listing %s", (inner, keys) => {
    const { objects } = parseListPage(page(inner));
    expect(objects).toEqual(keys.map((key) => ({ key, sizeBytes: 3, etag: "e" })));
  });

  test("a page with a continuation token", () => {
    const more = "<IsTruncated>true</IsTruncated><NextContinuationToken>t</NextContinuationToken>";
    expect(parseListPage(page(more)).continuationToken).toBe("t");
  });

  test.each([
    ["nothing", Buffer.alloc(0)],
    ["an HTML page", Buffer.from("<html><body>Sign in</body></html>")],
    ["another document", Buffer.from("<Other/>")],
    ["no size", page("<Contents><Key>a</Key></Contents>")],
    ["a page that goes on without a token", page("<IsTruncated>true</IsTruncated>")],
    ["a key that is no escape", page(`<EncodingType>url</EncodingType>${entry("%E9")}`)],
  ])("no listing: %s", (_name, body) => {
    expect(() => parseListPage(body)).toThrow(expect.objectContaining({ code: "S3_BAD_RESPONSE" }));
  });

  test("multipart", () => {
    const id = parseUploadId(
      Buffer.from(
        "<InitiateMultipartUploadResult><UploadId>a&amp;b</UploadId></InitiateMultipartUploadResult>",
      ),
    );
    expect(id).toBe("a&b");
    expect(formatPartList(['"e<1"']).toString()).toContain(
      "<PartNumber>1</PartNumber><ETag>&#34;e&#60;1&#34;</ETag>",
    );
  });
});
