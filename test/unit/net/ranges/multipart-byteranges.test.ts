/**
 * Multipart responses are split by the Content-Range of each part, in any order and in chunks of any size.
 * Bodies of real servers differ in preambles, quotes, line ends and epilogues.
 */

import { describe, expect, test } from "vitest";
import {
  MultipartParser,
  parseMultipartBoundary,
  readMultipartRanges,
} from "../../../../agent/net/ranges/multipart-byteranges.ts";

const part = (range: string, content: string, extra = "Content-Type: application/octet-stream\r\n") =>
  `\r\n--B\r\n${extra}Content-Range: ${range}\r\n\r\n${content}`;
const END = "\r\n--B--\r\n";

function readAll(body: string, pieceBytes = 1_000_000): Record<string, string> {
  const bytes = Buffer.from(body, "latin1");
  const parser = new MultipartParser("B");
  const parts: Record<string, string> = {};
  for (let at = 0; at < bytes.length; at += pieceBytes) {
    for (const { part: range, offset, bytes: data } of parser.push(bytes.subarray(at, at + pieceBytes))) {
      const key = `${range.start}-${range.end}/${range.totalBytes}`;
      expect(offset - range.start).toBe((parts[key] ?? "").length);
      parts[key] = (parts[key] ?? "") + data.toString("latin1");
    }
  }
  parser.finish();
  return parts;
}

describe("a boundary", () => {
  test.each([
    ["multipart/byteranges; boundary=abc", "abc"],
    ['multipart/byteranges; boundary="a b:c"', "a b:c"],
    ["multipart/byteranges; boundary=CloudFront:70C2", "CloudFront:70C2"],
    ["Multipart/ByteRanges;charset=x;Boundary=00000000000000000017", "00000000000000000017"],
    ["multipart/x-byteranges; boundary=old", "old"],
    ["multipart/byteranges", undefined],
    ["application/octet-stream", undefined],
    ["multipart/mixed; boundary=abc", undefined],
    ["", undefined],
  ])("of %s", (contentType, boundary) => {
    expect(parseMultipartBoundary(contentType)).toBe(boundary);
  });
});

describe("a multipart body", () => {
  const bodies: [string, string, Record<string, string>][] = [
    [
      "of two parts",
      part("bytes 0-4/100", "hello") + part("bytes 10-12/100", "abc") + END,
      { "0-5/100": "hello", "10-13/100": "abc" },
    ],
    [
      "in another order",
      part("bytes 10-12/100", "abc") + part("bytes 0-4/100", "hello") + END,
      { "10-13/100": "abc", "0-5/100": "hello" },
    ],
    [
      "with content that looks like a boundary",
      `${part("bytes 0-9/10", "\r\n--B--\r\nx")}${END}`,
      { "0-10/10": "\r\n--B--\r\nx" },
    ],
    ["without a first line break", `--B\r\nContent-Range: bytes 0-0/1\r\n\r\nx${END}`, { "0-1/1": "x" }],
    [
      "with a preamble and an epilogue",
      `some preamble${part("bytes 0-0/1", "x")}${END}epilogue\r\n--B\r\n`,
      { "0-1/1": "x" },
    ],
    ["with bare line feeds", "--B\nContent-Range: bytes 0-1/9\n\nxy\n--B--\n", { "0-2/9": "xy" }],
    [
      "with odd spelling",
      part("x", "", "content-RANGE:\tbytes  5-6/*\r\nx-").replace("x\r\n\r\n", "y\r\n\r\nab") + END,
      { "5-7/undefined": "ab" },
    ],
    [
      "with spaces behind the boundary",
      `--B  \r\nContent-Range: bytes 0-0/1\r\n\r\nx\r\n--B--`,
      { "0-1/1": "x" },
    ],
    ["that ends without a line break", `${part("bytes 0-0/1", "x")}\r\n--B--`, { "0-1/1": "x" }],
    ["of no parts", END, {}],
  ];
  test.each(bodies)("%s", (_, body, expected) => {
    for (const pieceBytes of [1, 2, 3, 5, 1000])
      expect(readAll(body, pieceBytes), `pieces of ${pieceBytes}`).toEqual(expected);
  });

  const broken: [string, string][] = [
    ["that is truncated in a part", part("bytes 0-9/10", "12345")],
    ["that is truncated between parts", part("bytes 0-0/10", "1")],
    ["whose part has no range", `--B\r\nContent-Type: x\r\n\r\nabc${END}`],
    ["whose part has an invalid range", part("bytes 9-0/10", "x") + END],
    ["whose part exceeds the file", part("bytes 0-9/5", "0123456789") + END],
    ["whose part is longer than its Content-Range", part("bytes 0-1/10", "abcdef") + END],
    ["whose part is shorter than its Content-Range", part("bytes 0-5/10", "abc") + END],
    ["whose headers do not end", `--B\r\n${"X-Long: y\r\n".repeat(5000)}`],
    ["that is not multipart", "just some text"],
    ["that is empty", ""],
  ];
  test.each(broken)("%s is refused", async (_, body) => {
    const reading = async () => {
      for await (const _data of readMultipartRanges([Buffer.from(body)], "B"));
    };
    await expect(reading()).rejects.toMatchObject({ code: "MULTIPART_INVALID" });
  });
});
