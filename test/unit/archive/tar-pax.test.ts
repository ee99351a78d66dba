import { describe, expect, it } from "vitest";
import { parsePaxRecords, parsePaxTime } from "../../../agent/archive/tar-pax.ts";
import { buildPaxRecord } from "./tar-builder.ts";

describe("records", () => {
  it.each([
    ["a name", "path", "usr/bin/x"],
    ["a value with a newline in it (composefs/tar-rs#428)", "SCHILY.xattr.user.x", "a\nb\n30 path=c\n"],
    ["a value that begins with NUL", "SCHILY.xattr.security.x", "\0\x01\0"],
    [
      "a value of every byte",
      "SCHILY.xattr.user.all",
      Buffer.from([...Array(256).keys()]).toString("latin1"),
    ],
    ["a value with an equals sign", "comment", "a=b=c"],
    ["an empty value", "path", ""],
    ["a name that is not UTF-8", "path", "caf\xe9/\xff"],
    ["a length that grows by counting itself", "k", "x".repeat(95)],
  ])("holds %s", (_name, key, value) => {
    const bytes = Buffer.concat([
      buildPaxRecord("a", "before"),
      buildPaxRecord(key, value),
      buildPaxRecord("z", "after"),
    ]);
    expect([...parsePaxRecords(bytes)]).toEqual([
      ["a", "before"],
      [key, value],
      ["z", "after"],
    ]);
  });

  it("uses the last value of a repeated key", () => {
    const bytes = Buffer.concat([buildPaxRecord("path", "one"), buildPaxRecord("path", "two")]);
    expect([...parsePaxRecords(bytes)]).toEqual([["path", "two"]]);
  });

  it.each([
    "7 a=b",
    "6 a=b\n6 a=b",
    "x a=b\n",
    "-6 a=b\n",
    "06 a=b\n",
    "99999999999999999999999 a=b\n",
    "60 a=b\n",
    "5 a=b\n",
    "0 \n",
    "5 ab\n",
    "5 =b\n",
    "6 a=bc",
    "12345678",
    "\0\0\0\0",
  ])("refuses %j", (text) => {
    expect(() => parsePaxRecords(Buffer.from(text))).toThrow(
      expect.objectContaining({ code: "ARCHIVE_CORRUPT" }),
    );
  });
});

describe("times", () => {
  it.each([
    ["0", 0, 0],
    ["1700000000", 1_700_000_000, 0],
    ["1700000000.123456789", 1_700_000_000, 123_456_789],
    ["1.5", 1, 500_000_000],
    ["1.0000000009", 1, 0],
    ["-312753294", -312_753_294, 0],
    ["-312753293.8", -312_753_294, 200_000_000],
    ["-0.25", -1, 750_000_000],
    ["4102444800", 4_102_444_800, 0],
    ["9223372036854775807", 9_223_372_036_854_775_807n, 0],
  ])("%s", (text, sec, nsec) => {
    expect(parsePaxTime(text)).toEqual({ sec, nsec });
  });

  it.each(["", "-", "1e9", "now", "1.2.3", " 1", ".5"])("refuses %j", (text) => {
    expect(parsePaxTime(text)).toBeUndefined();
  });
});
