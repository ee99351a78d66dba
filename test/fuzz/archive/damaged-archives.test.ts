/** Damaged archives of every kind end with an error code of ours, without delay. */
import { gzipSync } from "node:zlib";
import { expect, it } from "vitest";
import { compress } from "zstd-napi";
import { decompress, detectCompression } from "../../../agent/archive/decompress.ts";
import { TarReader } from "../../../agent/archive/tar-reader.ts";
import { AgentError } from "../../../agent/errors.ts";
import { buildPax, buildRawHeader, buildTar } from "../../unit/archive/tar-builder.ts";

const ROUNDS = 1500;

/** xorshift32: the same damage for the same seed. */
function createRandom(seed: number): (below: number) => number {
  let state = seed * 2654435761 || 1;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

const tar = Buffer.concat([
  buildPax([["comment", "global"]], "g"),
  buildRawHeader("././@LongLink", "L", Buffer.from(`${"long/".repeat(40)}\0`)),
  buildTar([
    { path: "long", content: "x".repeat(700), magic: "gnu" },
    {
      path: "a",
      content: "y".repeat(1500),
      pax: [
        ["path", "p".repeat(150)],
        ["mtime", "-1.5"],
        ["uid", "3000000000"],
        ["SCHILY.xattr.user.x", "\0\n="],
      ],
    },
    { path: "d/", type: "directory" },
    { path: "l", type: "symlink", linkPath: "d" },
    { path: "h", type: "hardlink", linkPath: "a" },
    { path: "c", type: "char", device: [1, 3] },
  ]),
]);
const archives = [tar, gzipSync(tar), compress(tar), compress(tar, { checksumFlag: true })];

function damage(bytes: Buffer, random: (below: number) => number): Buffer {
  const damaged = Buffer.from(bytes);
  for (let times = 1 + random(4); times > 0; times--) {
    const at = random(damaged.length);
    if (random(3) === 0) damaged[at] = random(256);
    else if (random(2) === 0) damaged[at]! ^= 1 << random(8);
    else damaged.copyWithin(at, random(damaged.length), random(damaged.length));
  }
  return random(4) === 0 ? damaged.subarray(0, random(damaged.length)) : damaged;
}

/** Corrects the checksums, so that damaged fields are parsed. */
function repairHeaders(bytes: Buffer): Buffer {
  for (let at = 0; at + 512 <= bytes.length; at += 512) {
    if (bytes.toString("latin1", at + 257, at + 262) !== "ustar") continue;
    bytes.fill(" ", at + 148, at + 156);
    const sum = bytes.subarray(at, at + 512).reduce((total, byte) => total + byte, 0);
    bytes.write(`${sum.toString(8).padStart(6, "0")}\0 `, at + 148, "latin1");
  }
  return bytes;
}

async function readAll(bytes: Buffer, pieceBytes: number): Promise<number> {
  let contentBytes = 0;
  const reader = new TarReader({
    onEntry({ sizeBytes, path }) {
      expect(Number.isSafeInteger(sizeBytes)).toBe(true);
      expect(path).not.toContain("\0");
    },
    onContent(chunk) {
      contentBytes += chunk.length;
    },
    onHole() {},
    onEntryEnd() {},
  });
  async function* pieces() {
    for (let at = 0; at < bytes.length; at += pieceBytes) yield bytes.subarray(at, at + pieceBytes);
  }
  const kind = detectCompression(bytes);
  if (kind === "xz") return 0;
  for await (const chunk of decompress(kind, pieces())) reader.write(chunk);
  reader.end();
  return contentBytes;
}

it.each(
  archives.map((archive, index) => [["tar", "gzip", "zstd", "zstd with checksum"][index]!, archive] as const),
)("%s", async (_name, archive) => {
  const codes = new Map<string, number>();
  for (let seed = 1; seed <= ROUNDS; seed++) {
    const random = createRandom(seed);
    const damaged = damage(archive, random);
    const bytes = archive === tar && random(2) === 0 ? repairHeaders(damaged) : damaged;
    const outcome = await readAll(bytes, 1 + random(3000)).then(
      () => "read",
      (error: unknown) => {
        if (!(error instanceof AgentError))
          throw new Error(`seed ${seed} gave no error of ours`, { cause: error });
        return error.code;
      },
    );
    codes.set(outcome, (codes.get(outcome) ?? 0) + 1);
  }
  // Proof that the damage reaches deep enough to matter, and is not all that ever happens.
  expect(codes.get("ARCHIVE_CORRUPT")).toBeGreaterThan(ROUNDS / 20);
  expect([...codes.keys()].every((code) => code === "read" || code.startsWith("ARCHIVE_"))).toBe(true);
});
