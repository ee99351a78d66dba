import { expect, test } from "vitest";
import { parseEncryptKey } from "../../../agent/volumes/volume-mirror.ts";

const KEY = Buffer.from("0123456789abcdef0123456789ABCDEF");
const mirror = { alias: "farm", bucket: "results", prefix: "job/1" };
const parse = (text: string) => parseEncryptKey(text, { volume: "x", mirror });

test.each([
  ["plain", KEY.toString()],
  ["base64", KEY.toString("base64")],
  ["base64 without padding", KEY.toString("base64").replace("=", "")],
  ["hex", KEY.toString("hex")],
  ["for the whole alias's bucket", `farm/results=${KEY}`],
  ["for a prefix", `farm/results/job=${KEY.toString("base64")}`],
  ["for the very place", `farm/results/job/1/=${KEY}`],
])("takes a key %s", (_name, text) => {
  expect(parse(text)).toEqual(KEY);
});

test.each([
  ["another bucket", `farm/other=${KEY}`],
  ["a prefix that only begins the same", `farm/results/jo=${KEY}`],
])("leaves out a key for %s", (_name, text) => {
  expect(parse(text)).toBeUndefined();
});

test.each([["short"], [""], [`farm/results=${"0".repeat(63)}`], ["farm/results="], ["=".repeat(44)]])(
  "refuses %j",
  (text) => {
    expect(() => parse(text)).toThrowError(expect.objectContaining({ code: "VOLUME_BAD_KEY" }));
  },
);
