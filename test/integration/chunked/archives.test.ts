import { createHash } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { formatObjectPath } from "../../../agent/composefs/object-repository.ts";
import { createArchiveOpener } from "../../../agent/net/archives/archive-opener.ts";
import type { HttpClient } from "../../../agent/net/http/http-message.ts";
import { S3Client } from "../../../agent/net/s3/client.ts";
import { answer, type MisbehavingServer, startServer } from "../../servers/misbehaving-server.ts";
import { type RangeManners, serveRanges } from "../../servers/range-server.ts";
import { buildTar, type Member } from "../../unit/archive/tar-builder.ts";
import { listEntries } from "../../unit/composefs/layer-entry.ts";
import { packOld, packTar, packWith, sha256 } from "./pack.ts";
import { archiveAt, createTestClient, createTestStore, layerAt, type TestStore } from "./store.ts";

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

async function serve(blob: Buffer, manners: RangeManners = {}): Promise<MisbehavingServer> {
  const server = await startServer(serveRanges(blob, manners));
  servers.push(server);
  return server;
}

const noise = (seed: string) =>
  Buffer.concat(
    Array.from({ length: 100 }, (_, part) => createHash("sha256").update(`${seed}${part}`).digest()),
  );
const files = (names: readonly string[]): Member[] =>
  names.map((name) => ({ path: name, content: noise(name) }));
const numbered = (count: number) => Array.from({ length: count }, (_, index) => `file-${index}`);
const sent = ({ requests }: MisbehavingServer) => requests.map(({ headers }) => headers.range ?? "all");

/** Something is here: an image that shares most files with the archive. */
async function takeImage(): Promise<void> {
  const image = await packTar(buildTar(files(numbered(80))));
  await test.take(layerAt((await serve(image.blob)).origin, http, image));
}

describe("an archive that shares files with the image", () => {
  it("is pulled partially without a digest", async () => {
    await takeImage();
    const archive = await packTar(buildTar(files([...numbered(80), "new"])));
    const server = await serve(archive.blob);
    const { tree } = await test.take(archiveAt(server.origin, http));
    expect(test.lines.at(-1)).toMatch(/^archive: 1 of 81 files missing, /);
    expect(tree).toHaveLength(81);
    expect(sent(server)).toEqual(["bytes=-72", expect.any(String), expect.stringMatching(/^bytes=\d+-\d+$/)]);
  });

  it("is pulled partially if an older tool wrote it", async () => {
    await takeImage();
    const archive = await packOld(buildTar(files([...numbered(80), "new"])));
    const { tree } = await test.take(archiveAt((await serve(archive.blob)).origin, http));
    expect(test.lines.at(-1)).toMatch(/^archive: 1 of 81 files missing, /);
    expect(tree).toHaveLength(81);
  });

  it("shares its files with an image that is pulled later", async () => {
    const archive = buildTar(files(numbered(80)));
    await test.take(archiveAt((await serve(archive)).origin, http));
    const image = await packTar(buildTar(files([...numbered(80), "new"])));
    await test.take(layerAt((await serve(image.blob)).origin, http, image));
    expect(test.lines.at(-1)).toMatch(/1 of 81 files missing/);
  });

  it("is checked against the TOC digest, and is not fetched twice", async () => {
    await takeImage();
    const archive = await packTar(buildTar(files([...numbered(80), "new"])));
    const server = await serve(archive.blob);
    const source = archiveAt(server.origin, http, { tableDigest: archive.tocDigest });
    await test.take(source);
    expect(test.lines.at(-1)).toMatch(/^archive with table sha256:\w{12}: 1 of 81 files missing, /);
    const before = server.requests.length;
    await test.take(source);
    expect(server.requests.length).toBe(before);
  });

  it("is downloaded fully if only its own digest is given", async () => {
    await takeImage();
    const archive = await packTar(buildTar(files([...numbered(80), "new"])));
    const server = await serve(archive.blob);
    await test.take(archiveAt(server.origin, http, { digest: archive.digest }));
    expect(sent(server)).toEqual(["all"]);
  });

  it("is pulled partially if possible when both digests are given", async () => {
    await takeImage();
    const { blob, digest, tocDigest: tableDigest } = await packTar(buildTar(files([...numbered(80), "new"])));
    await test.take(archiveAt((await serve(blob)).origin, http, { digest, tableDigest }));
    expect(test.lines.at(-1)).toMatch(/1 of 81 files missing/);
    const other = await packTar(buildTar(files([...numbered(80), "newer"])));
    const server = await serve(other.blob, { ignoresRanges: true });
    await test.take(archiveAt(server.origin, http, { digest: other.digest, tableDigest: other.tocDigest }));
    expect(test.lines.at(-1)).toMatch(/full download: its server does not support ranges/);
  });

  it("does not reuse a damaged object", async () => {
    await takeImage();
    const { tree } = await test.take(archiveAt((await serve(buildTar(files(["file-7"])))).origin, http));
    const verity = listEntries(tree)[0]!.node!.verityDigest!;
    writeFileSync(join(test.store.objectsDir, formatObjectPath(verity)), noise("rotten"));
    const archive = await packTar(buildTar(files([...numbered(80), "new"])));
    await test.take(archiveAt((await serve(archive.blob)).origin, http, { tableDigest: archive.tocDigest }));
    expect(test.lines.slice(-2)).toEqual([
      "store: dropped 1 damaged objects",
      expect.stringMatching(/2 of 81 files missing/),
    ]);
    expect((await test.store.check([verity])).lost).toEqual([]);
  });
});

describe("an archive with only a TOC digest", () => {
  const zeros = `sha256:${"0".repeat(64)}`;

  it("is pulled by ranges even if the store is empty", async () => {
    const archive = await packTar(buildTar(files(numbered(80))));
    const { tree } = await test.take(
      archiveAt((await serve(archive.blob)).origin, http, { tableDigest: archive.tocDigest }),
    );
    expect(tree).toHaveLength(80);
    expect(test.lines.at(-1)).toMatch(/80 of 80 files missing/);
  });

  const cases: [
    string,
    () => Promise<{ blob: Buffer; tableDigest: string; manners?: RangeManners }>,
    string,
  ][] = [
    [
      "has another TOC",
      async () => ({ blob: (await packTar(buildTar(files(["a"])))).blob, tableDigest: zeros }),
      "CHUNKED_BAD_TOC",
    ],
    [
      "is not chunked",
      async () => ({ blob: buildTar(files(["a"])), tableDigest: zeros }),
      "ARTIFACT_PARTIAL_PULL_FAILED",
    ],
    [
      "is on a server that does not support ranges",
      async () => {
        const { blob, tocDigest } = await packTar(buildTar(files(["a"])));
        return { blob, tableDigest: tocDigest, manners: { ignoresRanges: true } };
      },
      "ARTIFACT_PARTIAL_PULL_FAILED",
    ],
    [
      "has no tar-split, so its headers cannot be checked",
      async () => {
        const { blob, tocDigest } = await packOld(buildTar(files(["a"])));
        return { blob, tableDigest: tocDigest };
      },
      "CHUNKED_BAD_TAR_SPLIT",
    ],
    [
      "arrives damaged",
      async () => {
        const { blob, tocDigest } = await packTar(buildTar(files(["a"])));
        const spoil = (bytes: Buffer, offset: number) => {
          if (offset < 3_000) bytes[50]! ^= 1;
        };
        return { blob, tableDigest: tocDigest, manners: { spoil } };
      },
      "CHUNKED_BAD_FRAME",
    ],
    [
      "has an incorrect TOC",
      async () => {
        const { blob, tocDigest } = await packWith(buildTar(files(["a", "b"])), (toc) => {
          toc.entries[1].digest = sha256(noise("c"));
        });
        return { blob, tableDigest: tocDigest };
      },
      "CHUNKED_BAD_FRAME",
    ],
  ];
  it.each(cases)("is refused when it %s", async (_name, make, code) => {
    const { blob, tableDigest, manners } = await make();
    const taking = test.take(archiveAt((await serve(blob, manners)).origin, http, { tableDigest }));
    await expect(taking).rejects.toMatchObject({ code });
  });
});

describe("an archive from S3", () => {
  const endpoint = (server: MisbehavingServer) => ({ url: server.origin, region: "us-east-1" });
  const credentials = { accessKey: "key", secretKey: "secret" };

  it("is pulled partially, with every request signed", async () => {
    await takeImage();
    const archive = await packTar(buildTar(files([...numbered(80), "new", "newer"])));
    // As most of them: one range at a time.
    const server = await serve(archive.blob, { maxRanges: 1, refusal: "whole" });
    const open = createArchiveOpener(http, new S3Client(http, { endpoint: endpoint(server), credentials }));
    const { open: _open, parts } = open("s3://bucket/some/install.tar.zst");
    await test.take({ open: () => Promise.reject(new Error("not needed")), parts });
    expect(test.lines.at(-1)).toMatch(/2 of 82 files missing/);
    for (const { headers, path } of server.requests) {
      expect(path).toBe("/bucket/some/install.tar.zst");
      expect(headers.authorization).toMatch(/^AWS4-HMAC-SHA256 /);
      expect(headers.range).toBeDefined();
    }
  });

  it("fails with its own error if the object does not exist", async () => {
    await takeImage();
    const body = "<Error><Code>NoSuchKey</Code></Error>";
    const server = await startServer(answer(404, { "content-type": "application/xml" }, body));
    servers.push(server);
    const open = createArchiveOpener(http, new S3Client(http, { endpoint: endpoint(server), credentials }));
    const { parts } = open("s3://bucket/nothing");
    const taking = test.take({ open: () => Promise.reject(new Error("not needed")), parts });
    await expect(taking).rejects.toMatchObject({ code: "S3_NO_KEY" });
  });

  it("fails if the job configures no S3 service", () => {
    expect(() => createArchiveOpener(http)("s3://bucket/key")).toThrow(/no S3 service/);
  });
});
