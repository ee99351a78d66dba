/** A results folder that the test has filled to the last byte: what is ours still gets out, and the log goes on when there is room. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pino from "pino";
import { afterEach, beforeEach, expect, it } from "vitest";
import { mount, umount } from "../../../agent/kernel/mount.ts";
import { createHttpClient } from "../../../agent/net/http/http-client.ts";
import { createPutResults } from "../../../agent/net/uploads/put-results.ts";
import { createResultsSender } from "../../../agent/phases/results-sender.ts";
import { uploadResults } from "../../../agent/phases/upload.ts";
import { startProgress } from "../../../agent/report/log/progress.ts";
import { type AgentFiles, createAgentFiles } from "../../../agent/report/results/agent-files.ts";
import { takeSnapshot } from "../../../agent/report/results/file-snapshot.ts";
import { writeAgentFiles } from "../../../agent/report/results/write-agent-files.ts";
import { createVerdict } from "../../../agent/wire/verdict.ts";
import { startKeepingServer } from "../../servers/keeping-server.ts";

let folder: string;
let files: AgentFiles;
let warnings: string[];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "dutboot-full-"));
  mount({ source: "full", target: folder, type: "tmpfs", data: "size=128k" });
  warnings = [];
  const warn = (message: string) => warnings.push(message);
  files = createAgentFiles(folder, { warn, redact: (text) => text, reserved: ["verdict.json"] });
});
afterEach(() => {
  umount(folder, { lazy: true });
  rmSync(folder, { recursive: true });
});

const fill = () => {
  expect(() => writeFileSync(join(folder, "fill"), Buffer.alloc(1_000_000))).toThrow(/ENOSPC/);
};

it("uploads everything, and the agent's reports from memory", async () => {
  const log = files.openLog("dutboot.log", (error) => warnings.push(error.message));
  log.write("before\n");
  fill();
  const facts = { verdict: createVerdict({ bootId: "1a2b3c4d", records: [] }, 0) };
  const report = { name: "report.html", write: () => "x".repeat(10_000) };
  await writeAgentFiles([report], facts, { files, warn: (message) => warnings.push(message) });
  expect(warnings).toEqual([expect.stringMatching(/cannot write "report.html".*ENOSPC/)]);

  const server = await startKeepingServer();
  const http = createHttpClient({ insecureHosts: ["127.0.0.1"], log: { warn: () => {} } });
  const uploader = createPutResults(http, { prefix: server.origin });
  const signal = new AbortController().signal;
  await uploadResults(
    0,
    { log: pino({ level: "silent" }), signal },
    {
      bootId: "1a2b3c4d",
      sender: createResultsSender({ uploader, takeSnapshot, warn: () => {} }),
      listResults: files.list,
      startProgress,
      formatVerdictFile: () => "{}",
    },
  );
  expect([...server.kept.keys()].sort()).toEqual([
    "dutboot.log",
    "fill",
    "manifest.json",
    "report.html",
    "verdict.json",
  ]);
  expect(server.kept.get("report.html")).toHaveLength(10_000);
  await http.close();
  await server.close();
});

it("continues a log when there is space again, and logs what is missing", async () => {
  const log = files.openLog("dutboot.log", (error) => warnings.push(error.message));
  log.write(Buffer.alloc(4096, "-"));
  fill();
  for (let line = 0; line < 1000; line++) log.write("0123456789\n");
  expect(warnings).toEqual([expect.stringMatching(/ENOSPC/)]);
  rmSync(join(folder, "fill"));
  log.write("after\n");
  const snapshot = await takeSnapshot(files.list().files[0]!);
  expect(String(snapshot!.body)).toMatch(
    /^-{4096}\n… 11000 bytes are missing here: the file system was full\nafter\n$/,
  );
});
