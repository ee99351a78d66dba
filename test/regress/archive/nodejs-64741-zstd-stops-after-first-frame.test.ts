/** Node 24's own zstd stops after the first frame and gives nothing after a skippable one, both without an error (nodejs/node#64741). */
import { zstdDecompressSync } from "node:zlib";
import { expect, it } from "vitest";
import { compress } from "zstd-napi";
import { decompress } from "../../../agent/archive/decompress.ts";

const frames = Buffer.concat([
  Buffer.from("502a4d180100000000", "hex"),
  compress(Buffer.from("first ")),
  compress(Buffer.from("second")),
]);

it("is why zstd-napi is used: once this fails, Node can do it", () => {
  expect(zstdDecompressSync(frames).toString()).not.toBe("first second");
});

it("reads all frames", async () => {
  async function* whole() {
    yield frames;
  }
  const parts: string[] = [];
  for await (const chunk of decompress("zstd", whole())) parts.push(chunk.toString());
  expect(parts.join("")).toBe("first second");
});
