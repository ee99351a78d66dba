import { createHash } from "node:crypto";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { encodeLayerTree } from "../../../agent/composefs/layer-tree.ts";
import type { HttpClient } from "../../../agent/net/http-message.ts";
import { type MisbehavingServer, startServer } from "../../servers/misbehaving-server.ts";
import { type RangeManners, serveRanges } from "../../servers/range-server.ts";
import { buildTar, type Member } from "../../unit/archive/tar-builder.ts";
import { type Chunked, packOld, packTar } from "./pack.ts";
import { createTestClient, createTestStore, layerAt, type TestStore } from "./store.ts";

let test: TestStore;
let http: HttpClient;
const servers: MisbehavingServer[] = [];
beforeEach(async () => {
  test = await createTestStore();
  http = createTestClient();
});
afterEach(async () => {
  test.close();
  await http.close();
  for (const server of servers.splice(0)) await server.close();
});

const noise = (seed: string, sizeBytes: number) =>
  Buffer.concat(
    Array.from({ length: Math.ceil(sizeBytes / 32) }, (_, part) =>
      createHash("sha256").update(`${seed}:${part}`).digest(),
    ),
  ).subarray(0, sizeBytes);

/** A small system: `version` changes two files. */
function makeMembers(version: string): Member[] {
  const files = Array.from({ length: 200 }, (_, index): Member => {
    const seed = index === 50 || index === 150 ? `${index}${version}` : `${index}`;
    return { path: `d/file-${index}`, content: noise(seed, 6_000), mtime: index };
  });
  return [
    { path: "d", type: "directory", mtime: 3 },
    ...files,
    { path: "small", content: "small" },
    { path: "empty", content: "" },
    {
      path: "holes",
      content: Buffer.concat([noise("h", 3_000), Buffer.alloc(300_000), noise("i", 200_000)]),
    },
    { path: "hard", type: "hardlink", linkPath: "d/file-9" },
    { path: "soft", type: "symlink", linkPath: "d/file-9" },
    { path: "null", type: "char", device: [1, 3] },
    { path: "ünï", content: noise("u", 100), pax: [["mtime", "1.5"]] },
  ];
}

async function serve(blob: Buffer, manners: RangeManners = {}): Promise<MisbehavingServer> {
  const server = await startServer(serveRanges(blob, manners));
  servers.push(server);
  return server;
}

/** The second of two layers, pulled in parts, must be what it would have been whole. */
async function update(pack: (tar: Buffer) => Promise<Chunked>, manners?: RangeManners) {
  const one = await pack(buildTar(makeMembers("one")));
  const two = await pack(buildTar(makeMembers("two")));
  await test.take(layerAt((await serve(one.blob)).origin, http, one));
  const server = await serve(two.blob, manners);
  const taken = await test.take(layerAt(server.origin, http, two));
  const whole = await createTestStore();
  const expected = await whole.take(layerAt((await serve(two.blob)).origin, http, two));
  whole.close();
  expect(encodeLayerTree(taken.tree)).toEqual(encodeLayerTree(expected.tree));
  const { lost } = await test.store.check(
    taken.tree.flatMap(({ content }) => (content && "verity" in content ? [content.verity] : [])),
  );
  expect(lost).toEqual([]);
  return { server, line: test.lines.at(-1)!, requests: server.requests.map(({ headers }) => headers.range) };
}

describe("a layer after two files changed", () => {
  it("with a tar-split fetches those two", async () => {
    const { line, requests } = await update(packTar);
    expect(line).toMatch(
      /^layer sha256:\w{12}: 2 of 203 files missing, 0\.0 of 1\.4 MB by 1 request for 2 ranges$/,
    );
    expect(requests).toHaveLength(2);
  });

  it("without a tar-split fetches those two and the frames of headers", async () => {
    const { line } = await update(packOld);
    expect(line).toMatch(/^layer sha256:\w{12}: 2 of 203 files missing, /);
  });
});
