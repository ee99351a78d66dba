/** Archives that are files, read completely and by ranges, and plain HTTP where a digest protects the content. */
import { closeSync, openSync } from "node:fs";
import { mkdtemp, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createArchiveOpener } from "../../../../agent/net/archives/archive-opener.ts";
import { createHttpClient } from "../../../../agent/net/http/http-client.ts";
import { answer, type MisbehavingServer, startServer } from "../../../servers/misbehaving-server.ts";

const CONTENT = Buffer.from(Array.from({ length: 300_000 }, (_, index) => index % 251));
const http = createHttpClient({ insecureHosts: [], log: { warn: () => {} }, retry: { budgetMs: 0 } });
let folder: string;
let path: string;
let closed = 0;
const open = createArchiveOpener(http, undefined, async () => {
  const fd = openSync(path, "r");
  return {
    fd,
    close: () => {
      closed += 1;
      closeSync(fd);
    },
  };
});

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "dutboot-opener-"));
  path = join(folder, "root fs.tar");
  await writeFile(path, CONTENT);
});
afterAll(async () => {
  await http.close();
  await rm(folder, { recursive: true });
});

async function read(chunks: AsyncIterable<Buffer>): Promise<Buffer> {
  const all: Buffer[] = [];
  for await (const chunk of chunks) all.push(chunk);
  return Buffer.concat(all);
}

describe.each([
  ["file:", () => `file://${path}`],
  ["nfs:", () => "nfs://server/export/root.tar"],
])("a file by %s", (_scheme, url) => {
  it("is read completely", async () => {
    const { sizeBytes, body } = await open(url()).open();
    expect(sizeBytes).toBe(CONTENT.length);
    expect((await read(body)).equals(CONTENT)).toBe(true);
  });

  it("is read by ranges", async () => {
    const { parts } = open(url());
    const tail = await parts.readTail(1000);
    expect(tail).toMatchObject({ totalBytes: CONTENT.length });
    expect(tail!.bytes.equals(CONTENT.subarray(-1000))).toBe(true);
    expect((await parts.readTail(9e9))!.bytes).toHaveLength(CONTENT.length);
    const got: string[] = [];
    const ranges = [
      { start: 5, end: 10 },
      { start: 299_999, end: 300_000 },
    ];
    for await (const { offset, bytes } of parts.readRanges(ranges))
      got.push(`${offset}:${bytes.toString("hex")}`);
    expect(got).toEqual([
      `5:${CONTENT.toString("hex", 5, 10)}`,
      `299999:${CONTENT.toString("hex", 299_999)}`,
    ]);
  });

  it("ends with an error where the file ends", async () => {
    const short = join(folder, "short");
    await writeFile(short, CONTENT);
    const before = path;
    path = short;
    try {
      const { body } = await open(url()).open();
      await truncate(short, 10);
      await expect(read(body)).rejects.toMatchObject({ code: "SOURCE_READ_FAILED" });
    } finally {
      path = before;
    }
  });
});

it("closes files on NFS servers, whether they were read or not", async () => {
  closed = 0;
  const url = "nfs://server/export/root.tar";
  await read((await open(url).open()).body);
  (await open(url).open()).discard();
  await open(url).parts.readTail(1);
  expect(closed).toBe(3);
});

it.each([
  ["what is not there", () => `file://${folder}/no`],
  ["a directory", () => `file://${folder}`],
])("refuses %s", async (_name, url) => {
  await expect(open(url()).open()).rejects.toMatchObject({ code: "SOURCE_NOT_FOUND" });
});

describe("plain HTTP to a host that is not insecure by the job", () => {
  let server: MisbehavingServer;
  beforeAll(async () => {
    server = await startServer(answer(200, { "content-length": "5" }, "bytes"));
  });
  afterAll(() => server.close());

  it.each([
    ["is refused", {}, {}, "FETCH_INSECURE_REFUSED"],
    ["is asked where the job has a digest", { isVerified: true }, {}, undefined],
    ["is asked where the reader has a digest", {}, { hasDigest: true }, undefined],
  ])("%s", async (_name, options, request, code) => {
    const asking = open(`${server.origin}/root.tar`, options).open(request);
    if (code) await expect(asking).rejects.toMatchObject({ code });
    else expect((await read((await asking).body)).toString()).toBe("bytes");
  });
});
