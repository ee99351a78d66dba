import { gzipSync } from "node:zlib";
import { expect, it } from "vitest";
import { compress } from "zstd-napi";
import { detectCompression } from "../../../agent/archive/decompress.ts";
import { buildTar } from "./tar-builder.ts";

const text = Buffer.from("some text");

it.each([
  ["gzip", "gzip", gzipSync(text)],
  ["zstd", "zstd", compress(text)],
  ["a skippable frame first", "zstd", Buffer.from("502a4d1804000000", "hex")],
  ["the last kind of skippable frame", "zstd", Buffer.from("5f2a4d1804000000", "hex")],
  ["xz", "xz", Buffer.from("fd377a585a000004", "hex")],
  ["tar", "none", buildTar([{ path: "a" }])],
  ["nothing", "none", Buffer.alloc(0)],
  ["half of xz's magic", "none", Buffer.from("fd377a", "hex")],
  ["half of gzip's magic", "none", Buffer.from("1f", "hex")],
  ["a neighbour of the skippable frames", "none", Buffer.from("602a4d1804000000", "hex")],
  ["a web page", "none", Buffer.from("<!DOCTYPE html>")],
] as const)("tells %s", (_name, expected, bytes) => {
  expect(detectCompression(bytes)).toBe(expected);
});
