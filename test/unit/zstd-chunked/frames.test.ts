/**
 * Frames are found, measured and decoded whatever their headers look like, and broken ones are refused.
 * The frames come from zstd itself, one-shot and streamed, with and without sizes and checksums.
 */

import { createHash } from "node:crypto";
import { describe, expect, test } from "vitest";
import zstd from "zstd-napi/binding.js";
import { FrameDecoder } from "../../../agent/archive/zstd-chunked/frame-decoder.ts";
import { FrameCompressor, FrameStream } from "../../../scripts/pack/frame-writer.ts";
import { formatSkippableHeader } from "../../../scripts/pack/positions-writer.ts";
import { measureFrame, walkFrames } from "./frame-walker.ts";

const text = (bytes: number) =>
  Buffer.from("some text that repeats, ".repeat(Math.ceil(bytes / 24)).slice(0, bytes));
const noise = (bytes: number) => {
  const parts: Buffer[] = [];
  for (let at = 0; at < bytes; at += 32) parts.push(createHash("sha256").update(`${at}`).digest());
  return Buffer.concat(parts).subarray(0, bytes);
};

function compress(content: Buffer, parameters: [zstd.CParameter, number][]): Buffer {
  const context = new zstd.CCtx();
  for (const [parameter, value] of parameters) context.setParameter(parameter, value);
  const output = Buffer.alloc(zstd.compressBound(content.length));
  return output.subarray(0, context.compress2(output, content));
}

const CONTENTS = [
  Buffer.alloc(0),
  Buffer.from("x"),
  text(255),
  text(256),
  noise(300),
  text(65_791),
  noise(70_000),
  Buffer.alloc(300_000),
];
const PARAMETERS: [zstd.CParameter, number][][] = [
  [],
  [[zstd.CParameter.checksumFlag, 1]],
  [[zstd.CParameter.contentSizeFlag, 0]],
  [
    [zstd.CParameter.windowLog, 10],
    [zstd.CParameter.checksumFlag, 1],
  ],
];
const frames = CONTENTS.flatMap((content) =>
  PARAMETERS.map((parameters) => ({ content, frame: compress(content, parameters) })),
);

describe("frames", () => {
  test("are measured only when they are complete", () => {
    for (const { content, frame } of frames) {
      expect(measureFrame(frame, 0)).toMatchObject({ kind: "data", sizeBytes: frame.length });
      const { plainBytes } = measureFrame(frame, 0)!;
      if (plainBytes !== undefined) expect(plainBytes).toBe(content.length);
      expect(measureFrame(Buffer.concat([Buffer.alloc(3), frame, noise(50)]), 3)?.sizeBytes).toBe(
        frame.length,
      );
      for (const cut of [1, 4, 5, 6, 9, frame.length - 1]) {
        if (cut < frame.length) expect(measureFrame(frame.subarray(0, cut), 0)).toBeUndefined();
      }
    }
  });

  test("are found in sequence, including skippable ones", () => {
    const skippable = Buffer.concat([formatSkippableHeader(5), Buffer.from("hello")]);
    const parts = frames.flatMap(({ frame }) => [frame, skippable]);
    const found = [...walkFrames(Buffer.concat(parts))];
    expect(found.map(({ sizeBytes }) => sizeBytes)).toEqual(parts.map((part) => part.length));
    expect(found.map(({ kind }) => kind)).toEqual(
      parts.map((part) => (part === skippable ? "skippable" : "data")),
    );
  });

  test("that are truncated or invalid are refused", () => {
    const cut = frames.at(-1)!.frame.subarray(0, -1);
    expect(() => [...walkFrames(cut)]).toThrow(expect.objectContaining({ code: "CHUNKED_BAD_FRAME" }));
    expect(() => [...walkFrames(text(100))]).toThrow(expect.objectContaining({ code: "CHUNKED_BAD_FRAME" }));
    const reserved = Buffer.from("28b52ffd2000070000", "hex");
    expect(() => measureFrame(reserved, 0)).toThrow(expect.objectContaining({ code: "CHUNKED_BAD_FRAME" }));
  });
});

describe("the decoder", () => {
  test("decodes only frames of the expected size", () => {
    const decoder = new FrameDecoder();
    for (const { content, frame } of frames) {
      expect(decoder.decode(frame, content.length).equals(content)).toBe(true);
      expect(() => decoder.decode(frame, content.length + 1)).toThrow(
        expect.objectContaining({ code: "CHUNKED_BAD_FRAME" }),
      );
      if (content.length > 0) {
        expect(() => decoder.decode(frame, content.length - 1)).toThrow(
          expect.objectContaining({ code: "CHUNKED_BAD_FRAME" }),
        );
      }
      expect(() => decoder.decode(frame.subarray(0, -1), content.length)).toThrow(
        expect.objectContaining({ code: "CHUNKED_BAD_FRAME" }),
      );
    }
    expect(() => decoder.decode(frames[0]!.frame, 2 ** 40)).toThrow(
      expect.objectContaining({ code: "CHUNKED_BAD_FRAME" }),
    );
  });

  test("decodes many frames in a row", () => {
    const decoder = new FrameDecoder();
    const blob = Buffer.concat(frames.map(({ frame }) => frame));
    const content = Buffer.concat(frames.map((frame) => frame.content));
    const collect = (pieces: Iterable<Buffer>) => Buffer.concat([...mapCopies(pieces)]);
    expect(collect(decoder.decodeAll(blob)).equals(content)).toBe(true);
  });

  test("refuses truncated or damaged frames, and decodes the next one", () => {
    const decoder = new FrameDecoder();
    const { frame, content } = frames.find((one) => one.content.length === 70_000)!;
    const damaged = Buffer.from(compress(content, [[zstd.CParameter.checksumFlag, 1]]));
    damaged[40_000]! ^= 1;
    for (const bad of [frame.subarray(0, -5), damaged, text(50)]) {
      expect(() => [...decoder.decodeAll(bad)]).toThrow(
        expect.objectContaining({ code: "CHUNKED_BAD_FRAME" }),
      );
      expect(Buffer.concat([...mapCopies(decoder.decodeAll(frame))]).equals(content)).toBe(true);
    }
  });
});

describe("the writers", () => {
  test("write reproducible frames with a checksum", () => {
    for (const content of CONTENTS) {
      const first = new FrameCompressor().compress(content);
      expect(new FrameCompressor().compress(content).equals(first)).toBe(true);
      expect(first[4]! & 4).toBe(4);
      const stream = new FrameStream();
      for (let at = 0; at < content.length; at += 1000) stream.write(content.subarray(at, at + 1000));
      const streamed = stream.finish();
      expect(measureFrame(streamed, 0)?.sizeBytes).toBe(streamed.length);
      expect(stream.plainBytes).toBe(content.length);
      expect(Buffer.concat([...mapCopies(new FrameDecoder().decodeAll(streamed))]).equals(content)).toBe(
        true,
      );
    }
  });
});

function* mapCopies(pieces: Iterable<Buffer>): Generator<Buffer> {
  for (const piece of pieces) yield Buffer.from(piece);
}
