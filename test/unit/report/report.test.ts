import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { createRedaction } from "../../../agent/redaction/redaction.ts";
import { createLog } from "../../../agent/report/log/log.ts";
import { formatProgress } from "../../../agent/report/log/progress.ts";
import { listResults } from "../../../agent/report/results/list-results.ts";
import { createTemporaryFolder } from "../../temporary-folder.ts";

describe("progress", () => {
  it.each([
    [50e6, 200e6, 5_000, "50.0 of 200.0 MB (25 %), 10.0 MB/s, 15 s left"],
    [50e6, undefined, 5_000, "50.0 MB, 10.0 MB/s"],
    [0, 200e6, 2_000, "0.0 of 200.0 MB (0 %), 0.0 MB/s"],
    [0, 0, 0, "0.0 MB, 0.0 MB/s"],
  ])("%s of %s after %s ms", (done, total, elapsedMs, text) => {
    expect(formatProgress(done, total, elapsedMs)).toBe(text);
  });
});

describe("redaction", () => {
  it("hides a secret wherever it appears, also URL-encoded", () => {
    const redaction = createRedaction();
    redaction.hide("p@ss/word");
    expect(redaction.redactFile("p@ss/word in https://u:p%40ss%2Fword@host/", "a")).toBe(
      "[hidden] in https://u:[hidden]@host/",
    );
  });

  it("ignores secrets that are too short", () => {
    const redaction = createRedaction();
    redaction.hide("a");
    expect(redaction.redactFile("a test", "a")).toBe("a test");
  });
});

describe("log", () => {
  it("writes a line for people and a record for programs, both without secrets", () => {
    const lines: string[] = [];
    const records: string[] = [];
    const redaction = createRedaction();
    redaction.hide("hunter2hunter2");
    const log = createLog({
      redaction,
      readUptimeMs: () => 12_345,
      onLine: (line) => lines.push(line),
      onRecord: (record) => records.push(record),
    });
    log.info({ token: "hunter2hunter2" }, "fetch: started");
    log.warn("clock: unset");
    expect(lines).toEqual(["[   12.345] dutboot: fetch: started", "[   12.345] dutboot: warn: clock: unset"]);
    expect(JSON.parse(records[0]!)).toEqual({
      level: "info",
      uptimeMs: 12_345,
      token: "[hidden]",
      msg: "fetch: started",
    });
  });
});

describe("results", () => {
  it("lists regular files and names the other entries", () => {
    const folder = createTemporaryFolder("results");
    mkdirSync(join(folder, "deep"));
    writeFileSync(join(folder, "deep", "b.txt"), "bb");
    writeFileSync(join(folder, "a.txt"), "a");
    symlinkSync("/etc/shadow", join(folder, "link"));
    const { files, leftOut } = listResults(folder);
    expect(files.map(({ name, sizeBytes }) => [name, sizeBytes])).toEqual([
      ["a.txt", 1],
      ["deep/b.txt", 2],
    ]);
    expect(leftOut).toEqual(["link"]);
  });
});
