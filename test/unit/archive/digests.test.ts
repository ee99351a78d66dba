/** Tables of digests, also of those that a hostile TOC names. */
import { hash } from "node:crypto";
import { expect, it } from "vitest";
import { DIGEST_BYTES, DigestTable, listDigests, tabulateDigests } from "../../../agent/archive/digests.ts";

const COUNT = 100_000;

it("finds each digest once, in the order in which they were added", () => {
  const digests = Array.from({ length: 1000 }, (_, index) => hash("sha256", String(index)));
  const table = tabulateDigests(Buffer.from([...digests, ...digests].join(""), "hex"));
  expect([...listDigests(table.bytes)]).toEqual(digests);
  expect(table.size).toBe(1000);
  expect(table.find(Buffer.from(digests[700]!, "hex"), 0)).toBe(700);
  expect(table.find(Buffer.from(hash("sha256", "none"), "hex"), 0)).toBe(-1);
  expect(new DigestTable().find(Buffer.alloc(DIGEST_BYTES), 0)).toBe(-1);
});

// With a hash that an attacker can compute, each of these takes minutes.
it.each([
  ["begin with the same 28 bytes", (digest: Buffer, index: number) => digest.writeUInt32LE(index, 28)],
  ["end with the same 28 bytes", (digest: Buffer, index: number) => digest.writeUInt32LE(index, 0)],
  [
    "differ in the upper bits of bytes alone",
    (digest: Buffer, index: number) => {
      for (let bit = 0; bit < 17; bit++) digest[bit] = index & (1 << bit) ? 0x80 : 0;
    },
  ],
])("stays fast with 100,000 digests that %s", (_, write) => {
  const digests = Buffer.alloc(COUNT * DIGEST_BYTES);
  for (let index = 0; index < COUNT; index++)
    write(digests.subarray(index * DIGEST_BYTES, (index + 1) * DIGEST_BYTES), index);
  const table = tabulateDigests(digests);
  expect(table.size).toBe(COUNT);
  for (let index = 0; index < COUNT; index++)
    if (table.find(digests, index) !== index) throw new Error(`Cannot find digest ${index}`);
});
