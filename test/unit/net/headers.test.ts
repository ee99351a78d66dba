/** The pure parts of the HTTP client: ranges, validators, Retry-After, delays, URLs for logs. */
import { describe, expect, test } from "vitest";
import {
  formatRanges,
  parseContentLength,
  parseContentRange,
  parseStrongEtag,
} from "../../../agent/net/http/range-headers.ts";
import { parseRetryAfter, planRetryDelay } from "../../../agent/net/http/retry-policy.ts";
import { formatPublicUrl, UrlPolicy } from "../../../agent/net/http/url-policy.ts";
import { RETRY_LIMITS } from "../../../agent/net/limits.ts";

test.each([
  ["bytes 0-9/10", { start: 0, end: 10, totalBytes: 10 }],
  ["bytes 5-5/*", { start: 5, end: 6 }],
  ["Bytes  1-2/3", { start: 1, end: 3, totalBytes: 3 }],
  ["bytes */10", undefined],
  ["bytes 9-0/10", undefined],
  ["bytes 0-10/10", undefined],
  ["bytes 0-9", undefined],
  ["bytes -1-9/10", undefined],
  ["items 0-9/10", undefined],
  ["bytes 0-99999999999999999999/*", undefined],
  ["", undefined],
  [undefined, undefined],
])("Content-Range %s", (header, expected) => {
  expect(parseContentRange(header)).toEqual(expected);
});

test("Range has inclusive ends, and none for the rest of a file", () => {
  const ranges = [
    { start: 0, end: 1 },
    { start: 5, end: Number.POSITIVE_INFINITY },
  ];
  expect(formatRanges(ranges)).toBe("bytes=0-0,5-");
});

test.each([
  ['"abc"', '"abc"'],
  ['""', '""'],
  ['W/"abc"', undefined],
  ["abc", undefined],
  ['"a"b"', undefined],
  ['"a\r\nx: y"', undefined],
  [undefined, undefined],
])("ETag %s", (header, expected) => {
  expect(parseStrongEtag(header)).toBe(expected);
});

test.each([
  ["0", 0],
  ["10", 10],
  ["-1", undefined],
  ["1e3", undefined],
  ["10, 10", undefined],
  ["", undefined],
])("Content-Length %s", (header, expected) => {
  expect(parseContentLength(header)).toBe(expected);
});

describe("Retry-After", () => {
  const nowMs = Date.UTC(2026, 10, 23, 12, 0, 0);
  test.each([
    ["0", 0],
    ["120", 120_000],
    [" 7 ", 7_000],
    ["Mon, 23 Nov 2026 12:00:30 GMT", 30_000],
    ["Mon, 23 Nov 2026 11:00:00 GMT", 0],
    ["soon", undefined],
    ["-5", undefined],
    ["1.5", undefined],
    ["2026", 2_026_000],
    ["", undefined],
    [undefined, undefined],
  ])("%s", (header, expected) => {
    expect(parseRetryAfter(header, nowMs)).toBe(expected);
  });
});

describe("delays", () => {
  const limits = {
    ...RETRY_LIMITS,
    budgetMs: 100_000,
    firstContactBudgetMs: 10_000,
    firstDelayMs: 1_000,
    maxDelayMs: 8_000,
    maxRetryAfterMs: 20_000,
  };
  test.each([
    ["first", { failures: 1, elapsedMs: 0, isKnownHost: true }, 0, 500],
    ["first, unlucky", { failures: 1, elapsedMs: 0, isKnownHost: true }, 1, 1_000],
    ["third", { failures: 3, elapsedMs: 0, isKnownHost: true }, 1, 4_000],
    ["capped", { failures: 60, elapsedMs: 0, isKnownHost: true }, 1, 8_000],
    ["Retry-After", { failures: 1, elapsedMs: 0, isKnownHost: true, retryAfterMs: 15_000 }, 0, 15_000],
    ["Retry-After, capped", { failures: 1, elapsedMs: 0, isKnownHost: true, retryAfterMs: 1e9 }, 0, 20_000],
    ["never beyond the budget", { failures: 9, elapsedMs: 99_000, isKnownHost: true }, 1, 1_000],
    ["budget used up", { failures: 9, elapsedMs: 100_000, isKnownHost: true }, 1, undefined],
    ["unknown host, budget used up", { failures: 9, elapsedMs: 10_000, isKnownHost: false }, 1, undefined],
  ])("%s", (_name, state, random, expected) => {
    expect(planRetryDelay(state, limits, random)).toBe(expected);
  });
});

test.each([
  ["https://user:secret@host:1/path?token=secret#x", "https://host:1/path?…"],
  ["http://host/path", "http://host/path"],
  ["not a url with secret", ""],
  ["https://user:secret@[", "https:"],
])("public form of %s", (url, expected) => {
  expect(formatPublicUrl(url)).toBe(expected);
});

describe("insecure hosts", () => {
  const rules = new UrlPolicy(["Farm", "registry:5000", "web:443", "[::1]", "10.0.2.2"]);
  test.each([
    ["http://farm/", true],
    ["https://farm:8443/", true],
    ["http://registry:5000/", true],
    ["http://registry:5001/", false],
    ["http://registry/", false],
    ["https://web/", true],
    ["http://web/", false],
    ["http://[::1]:80/", true],
    ["http://10.0.2.2:9/", true],
    ["http://10.0.2.20/", false],
    ["http://farm.example/", false],
  ])("%s", (url, expected) => {
    expect(rules.isInsecure(new URL(url))).toBe(expected);
  });
});
