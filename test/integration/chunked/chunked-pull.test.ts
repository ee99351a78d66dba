import { createHash } from "node:crypto";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { listDigests } from "../../../agent/archive/digests.ts";
import { formatObjectPath } from "../../../agent/composefs/object-repository.ts";
import type { HttpClient } from "../../../agent/net/http/http-message.ts";
import type { LayerSource } from "../../../agent/root/root-driver.ts";
import { type MisbehavingServer, startServer } from "../../servers/misbehaving-server.ts";
import { type RangeManners, serveRanges } from "../../servers/range-server.ts";
import { buildTar, type Member } from "../../unit/archive/tar-builder.ts";
import { findObject, listEntries } from "../../unit/composefs/layer-entry.ts";
import { type Chunked, packOld, packTar, packWith, sha256, type TocJson } from "./pack.ts";
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
  expect(listEntries(taken.tree)).toEqual(listEntries(expected.tree));
  const { lost } = await test.store.check(listDigests(taken.tree.digests));
  expect(lost).toEqual([]);
  return { server, line: test.lines.at(-1)!, requests: server.requests.map(({ headers }) => headers.range) };
}

describe("a layer after two files changed", () => {
  const twoMissing = /^layer sha256:\w{12}: 2 of 203 files missing, 0\.0 of 1\.4 MB by 1 request for /;

  it("fetches only the two files if it has a tar-split", async () => {
    const { line, requests } = await update(packTar);
    expect(line).toMatch(twoMissing);
    expect(requests).toHaveLength(2);
  });

  it("fetches the two files and the header frames if it has no tar-split", async () => {
    const { line } = await update(packOld);
    expect(line).toMatch(twoMissing);
  });

  it.each<[string, RangeManners]>([
    ["parts in another order", { order: "reversed" }],
    ["parts made one", { mergesGaps: 1_000_000 }],
    ["200 to many", { maxRanges: 1, refusal: "whole" }],
    ["400 to many", { maxRanges: 1, refusal: 400 }],
    ["416 to many", { maxRanges: 1, refusal: 416 }],
    ["a body that is cut", { cutAt: 4_000 }],
  ])("gets through %s", async (_name, manners) => {
    expect((await update(packTar, manners)).line).toMatch(twoMissing);
    test.close();
    test = await createTestStore();
    expect((await update(packOld, manners)).line).toMatch(twoMissing);
  });

  it("is downloaded fully if the server does not support ranges", async () => {
    const { line } = await update(packTar, { ignoresRanges: true });
    expect(line).toMatch(/full download: .*FETCH_NO_RANGES/);
  });

  it("is downloaded fully and correctly if ranges arrive damaged", async () => {
    const spoil = (bytes: Buffer, offset: number) => {
      if (offset < 1_000_000) bytes[bytes.length - 1]! ^= 1;
    };
    const { line } = await update(packTar, { spoil });
    expect(line).toMatch(/full download: .*\(CHUNKED_BAD_FRAME\)/);
  });
});

describe("logs the kind of pull and the reason", () => {
  it("if the store is empty", async () => {
    const one = await packTar(buildTar(makeMembers("one")));
    await test.take(layerAt((await serve(one.blob)).origin, http, one));
    expect(test.lines).toEqual([expect.stringMatching(/full download: the store is empty/)]);
  });

  it("if most files are missing", async () => {
    await test.take(
      layerAt(
        (await serve((await packTar(buildTar(makeMembers("one")))).blob)).origin,
        http,
        await packTar(buildTar(makeMembers("one"))),
      ),
    );
    const other = await packTar(buildTar([{ path: "x", content: noise("x", 500_000) }]));
    await test.take(layerAt((await serve(other.blob)).origin, http, other));
    expect(test.lines.at(-1)).toMatch(/full download: \d+ range.* would cost 1\d\d % of it/);
  });

  it("if all files are in the store: fetches only the TOC and the tar-split", async () => {
    const members = makeMembers("one");
    const one = await packTar(buildTar(members));
    await test.take(layerAt((await serve(one.blob)).origin, http, one));
    const two = await packTar(buildTar(members.slice(0, 100)));
    const server = await serve(two.blob);
    await test.take(layerAt(server.origin, http, two));
    expect(test.lines.at(-1)).toMatch(/0 of 99 files missing, .* by 0 requests/);
    expect(server.requests).toHaveLength(1);
  });
});

describe("reuses", () => {
  it("contents of other layers, inline or objects, and logs the bytes saved", async () => {
    const members = makeMembers("one");
    const plain = buildTar(members);
    await test.take({
      diffId: sha256(plain),
      open: async () =>
        (async function* () {
          yield plain;
        })(),
    });
    const two = await packTar(buildTar([...members.slice(50), { path: "extra", content: "extra" }]));
    const reused: number[] = [];
    let bytesIn = 0;
    await test.take(layerAt((await serve(two.blob)).origin, http, two), {
      onReuse: (...numbers) => reused.push(...numbers),
      onProgress: (progress) => {
        bytesIn = progress.bytesIn;
      },
    });
    expect(test.lines.at(-1)).toMatch(/1 of 155 files missing/);
    expect(reused[1]).toBe(two.blob.length);
    expect(bytesIn).toBe(two.blob.length - reused[0]!);
    expect(bytesIn).toBeLessThan(40_000);
  });

  it("chunks of a changed file, from a previous full or partial pull of the layer and from a renamed file", async () => {
    const large = noise("large", 2_000_000);
    const change = (at: number) => {
      const changed = Buffer.from(large);
      changed[at]! ^= 1;
      return changed;
    };
    const layerOf = async (name: string, content: Buffer) => {
      const layer = await packTar(buildTar([...makeMembers("one"), { path: name, content }]));
      return layerAt((await serve(layer.blob)).origin, http, layer);
    };
    const fetched: number[] = [];
    const takeCounting = async (source: LayerSource) => {
      let bytes = 0;
      const { tree } = await test.take(source, { onProgress: ({ bytesIn }) => (bytes = bytesIn) });
      fetched.push(bytes);
      return tree;
    };
    await takeCounting(await layerOf("a", large));
    await takeCounting(await layerOf("a", change(700_000)));
    const tree = await takeCounting(await layerOf("b", change(1_500_000)));
    expect(fetched[0]).toBeGreaterThan(2_000_000);
    for (const bytes of fetched.slice(1)) expect(bytes).toBeLessThan(400_000);
    expect(test.lines.slice(1)).toEqual([
      expect.stringMatching(/1 of 204 files/),
      expect.stringMatching(/1 of 204 files/),
    ]);
    const verity = listEntries(tree).at(-1)!.node!.verityDigest!;
    expect(
      readFileSync(join(test.store.objectsDir, formatObjectPath(verity))).equals(change(1_500_000)),
    ).toBe(true);
  });

  it("stored TOCs and tar-splits: fetches only a damaged object again", async () => {
    const one = await packTar(buildTar(makeMembers("one")));
    const two = await packTar(buildTar(makeMembers("two")));
    await test.take(layerAt((await serve(one.blob)).origin, http, one));
    const server = await serve(two.blob);
    const { tree } = await test.take(layerAt(server.origin, http, two));
    const verity = findObject(tree, "d/file-7");
    writeFileSync(join(test.store.objectsDir, formatObjectPath(verity)), "rotten");
    const before = server.requests.length;
    await test.take(layerAt(server.origin, http, two));
    expect(test.lines.at(-1)).toMatch(/1 of 203 files missing/);
    expect(server.requests.length - before).toBe(1);
    expect((await test.store.check([verity])).lost).toEqual([]);
  });

  it("no damaged object: detects it while the tar is rebuilt", async () => {
    const one = await packTar(buildTar(makeMembers("one")));
    const two = await packTar(buildTar(makeMembers("two")));
    const { tree } = await test.take(layerAt((await serve(one.blob)).origin, http, one));
    const verity = findObject(tree, "d/file-7");
    writeFileSync(join(test.store.objectsDir, formatObjectPath(verity)), noise("rotten", 6_000));
    await test.take(layerAt((await serve(two.blob)).origin, http, two));
    expect(test.lines.slice(-2)).toEqual([
      "store: dropped 1 damaged objects",
      expect.stringMatching(/3 of 203 files missing/),
    ]);
  });
});

describe("rejects a TOC", () => {
  const whole = (code: string) => new RegExp(`full download: .*\\(${code}\\)$`);
  const file = (toc: TocJson, name: string) => toc.entries.find((entry: TocJson) => entry.name === name);

  it.each<[string, (toc: TocJson) => void, RegExp]>([
    [
      "a wrong digest of a file that is fetched",
      (toc) => {
        file(toc, "d/file-50").digest = `sha256:${"1".repeat(64)}`;
      },
      whole("CHUNKED_BAD_FRAME"),
    ],
    [
      "another file's digest",
      (toc) => {
        file(toc, "d/file-7").digest = file(toc, "d/file-8").digest;
      },
      whole("LAYER_DIFFID_MISMATCH"),
    ],
    [
      "another size",
      (toc) => {
        file(toc, "d/file-7").size = 7;
      },
      whole("CHUNKED_BAD_TOC"),
    ],
    [
      "a file that is not in the tar",
      (toc) => {
        file(toc, "d/file-199").name = "d/other";
      },
      whole("CHUNKED_BAD_TOC"),
    ],
    [
      "a payload inside the TOC",
      (toc) => {
        file(toc, "holes").endOffset = 3_000_000;
      },
      whole("CHUNKED_BAD_TOC"),
    ],
    [
      "a payload in the middle of a frame",
      (toc) => {
        file(toc, "d/file-50").offset += 1;
      },
      whole("CHUNKED_BAD_FRAME"),
    ],
    [
      "overlapping payloads",
      (toc) => {
        file(toc, "d/file-8").offset = file(toc, "d/file-7").offset;
      },
      whole("CHUNKED_BAD_TOC"),
    ],
    [
      "another tar-split",
      (toc) => {
        toc.tarSplitDigest = `sha256:${"1".repeat(64)}`;
      },
      whole("CHUNKED_BAD_TAR_SPLIT"),
    ],
    [
      "a huge chunk of zeros",
      (toc) => {
        Object.assign(file(toc, "d/file-50"), { size: 2 ** 45, chunkSize: 2 ** 45, chunkType: "zeros" });
      },
      whole("ARCHIVE_LIMIT_EXCEEDED"),
    ],
    [
      "a chunk too large for memory",
      (toc) => {
        Object.assign(file(toc, "d/file-50"), { size: 2 ** 29, chunkSize: 2 ** 29 });
      },
      /full download: a chunk of "d\/file-50" has 536870912 bytes/,
    ],
    [
      "no entries",
      (toc) => {
        toc.entries = [];
      },
      whole("LAYER_DIFFID_MISMATCH|ARCHIVE_\\w+|CHUNKED_\\w+"),
    ],
  ])("with %s", async (_name, edit, line) => {
    const one = await packTar(buildTar(makeMembers("one")));
    await test.take(layerAt((await serve(one.blob)).origin, http, one));
    const two = await packWith(buildTar(makeMembers("two")), edit);
    const { tree } = await test.take(layerAt((await serve(two.blob)).origin, http, two));
    expect(test.lines.at(-1)).toMatch(line);
    expect(tree).toHaveLength(makeMembers("two").length);
  });

  it("whose digest is not the manifest's", async () => {
    const one = await packTar(buildTar(makeMembers("one")));
    await test.take(layerAt((await serve(one.blob)).origin, http, one));
    const two = await packTar(buildTar(makeMembers("two")));
    const spoil = (bytes: Buffer, offset: number) => {
      if (offset > 1_000_000) bytes[0]! ^= 1;
    };
    await test.take(layerAt((await serve(two.blob, { spoil })).origin, http, two));
    expect(test.lines.at(-1)).toMatch(whole("CHUNKED_BAD_TOC"));
  });

  it.each([
    ["no numbers", { "manifest-position": "x:y:z:1" }],
    ["an offset beyond the end", { "manifest-position": "90000000:10:10:1" }],
    ["an unknown type", { "manifest-position": "100:10:10:2" }],
    ["no digest", { "manifest-checksum": "sha256:abc" }],
  ])("with an annotation that has %s", async (_name, annotations) => {
    const one = await packTar(buildTar(makeMembers("one")));
    await test.take(layerAt((await serve(one.blob)).origin, http, one));
    const two = await packTar(buildTar(makeMembers("two")));
    for (const [key, value] of Object.entries(annotations))
      two.annotations[`io.github.containers.zstd-chunked.${key}`] = value;
    await test.take(layerAt((await serve(two.blob)).origin, http, two));
    expect(test.lines.at(-1)).toMatch(whole("CHUNKED_BAD_ANNOTATION"));
  });

  it("and fails if the DiffID of the full download differs too", async () => {
    const one = await packTar(buildTar(makeMembers("one")));
    await test.take(layerAt((await serve(one.blob)).origin, http, one));
    const two = { ...(await packTar(buildTar(makeMembers("two")))), diffId: `sha256:${"2".repeat(64)}` };
    const pulling = test.take(layerAt((await serve(two.blob)).origin, http, two));
    await expect(pulling).rejects.toMatchObject({ code: "LAYER_DIFFID_MISMATCH" });
    expect(test.lines.at(-1)).toMatch(whole("LAYER_DIFFID_MISMATCH"));
    expect(readdirSync(test.store.layout.staging)).toEqual([]);
    expect(readdirSync(test.store.layout.trees).filter((name) => name.includes("2222"))).toEqual([]);
  });
});
