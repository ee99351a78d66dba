/** Results in a directory: complete files under their names, and the errors of a directory that cannot store them. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { createNfsResults } from "../../../../agent/net/uploads/nfs-results.ts";
import { describeUpload } from "../../../servers/result-upload.ts";

const { signal } = new AbortController();
const CONTENT = Buffer.alloc(2_500_000, "result ");
let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "dutboot-nfs-results-"));
  writeFileSync(join(folder, "source"), CONTENT);
});
afterAll(() => rmSync(folder, { recursive: true }));

const source = () => ({ path: join(folder, "source"), sizeBytes: CONTENT.length });

function create(name: string, options: string[] = []) {
  const mounts: string[][] = [];
  const directory = mkdtempSync(join(folder, name));
  const place = { server: "nas", path: "/results", options };
  const mount = async (asked: typeof place) => void mounts.push(asked.options);
  return { directory, mounts, uploader: createNfsResults(place, { directory, mount }) };
}

it("stores complete files and buffers and nothing else, after one mount", async () => {
  const { directory, mounts, uploader } = create("whole");
  await Promise.all([
    uploader.put(describeUpload("a/b/file", source()), { signal }),
    uploader.put(describeUpload("verdict.json", Buffer.from("{}")), { signal }),
  ]);
  await uploader.put(describeUpload("verdict.json", Buffer.from("again")), { signal });
  expect(readFileSync(join(directory, "a/b/file")).equals(CONTENT)).toBe(true);
  expect(readFileSync(join(directory, "verdict.json"), "utf8")).toBe("again");
  expect(readdirSync(directory, { recursive: true }).sort()).toEqual([
    "a",
    "a/b",
    "a/b/file",
    "verdict.json",
  ]);
  expect(mounts).toEqual([["softerr"]]);
  expect(uploader.destination).toBe("nas:/results");
});

it("keeps a hard mount of the job", async () => {
  const { mounts, uploader } = create("hard", ["hard"]);
  await uploader.put(describeUpload("x", Buffer.from("x")), { signal });
  expect(mounts).toEqual([["hard"]]);
});

it("leaves nothing behind when a file cannot be written", async () => {
  const { directory, uploader } = create("refused");
  writeFileSync(join(directory, "in-the-way"), "");
  await expect(uploader.put(describeUpload("in-the-way/file", source()), { signal })).rejects.toMatchObject({
    code: "UPLOAD_FAILED",
  });
  const longer = { ...source(), sizeBytes: CONTENT.length + 1 };
  await expect(uploader.put(describeUpload("short", longer), { signal })).rejects.toMatchObject({
    code: "UPLOAD_FILE_CHANGED",
  });
  expect(readdirSync(directory)).toEqual(["in-the-way"]);
});
