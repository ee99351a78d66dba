/** The upload phase against real servers: all files are tried, and the manifest lists what is there and what is missing. */
import { createHash } from "node:crypto";
import { appendFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pino from "pino";
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from "vitest";
import type { AgentError } from "../../../agent/errors.ts";
import { createHttpClient, type HttpClient } from "../../../agent/net/http/http-client.ts";
import { createPutResults } from "../../../agent/net/uploads/put-results.ts";
import { createResultsSender } from "../../../agent/phases/results-sender.ts";
import { type UploadAdapters, uploadResults } from "../../../agent/phases/upload.ts";
import { startProgress } from "../../../agent/report/log/progress.ts";
import { takeSnapshot } from "../../../agent/report/results/file-snapshot.ts";
import { listResults } from "../../../agent/report/results/list-results.ts";
import type { ResultsManifest } from "../../../agent/wire/results-manifest.ts";
import { type Fault, type KeepingServer, startKeepingServer } from "../../servers/keeping-server.ts";

const LARGE = Buffer.alloc(300_000, "large ");

let http: HttpClient;
let folder: string;
let server: KeepingServer;
let lines: string[];

beforeAll(() => {
  http = createHttpClient({
    insecureHosts: ["127.0.0.1"],
    log: { warn: () => {} },
    retry: { budgetMs: 1_000, firstContactBudgetMs: 500, firstDelayMs: 10, maxDelayMs: 20 },
  });
});
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "dutboot-upload-"));
  lines = [];
});
afterEach(async () => {
  await server?.close();
  rmSync(folder, { recursive: true, force: true });
});
afterAll(() => http.close());

const write = (name: string, content: string | Buffer = name) => writeFileSync(join(folder, name), content);
const log = pino({}, { write: (line: string) => void lines.push(JSON.parse(line).msg) });
/** Files above 1,000 bytes are not held in memory here. */
const snapshot: typeof takeSnapshot = (file) => takeSnapshot(file, { heldBytes: 1_000 });

async function upload(
  fault?: Fault,
  { signal = new AbortController().signal, ...more }: Partial<UploadAdapters> & { signal?: AbortSignal } = {},
) {
  server = await startKeepingServer(fault);
  const adapters: UploadAdapters = {
    bootId: "1a2b3c4d",
    sender: createResultsSender({
      uploader: createPutResults(http, { prefix: server.origin }),
      takeSnapshot: snapshot,
      warn: (message) => lines.push(message),
    }),
    listResults: () => listResults(folder),
    startProgress,
    hurriedRetry: { budgetMs: 50, firstContactBudgetMs: 50 },
    formatVerdictFile: (exitCode, failure) => JSON.stringify({ exitCode, code: failure?.code ?? null }),
    ...more,
  };
  const error = await uploadResults(0, { log, signal }, adapters).then(
    () => undefined,
    (thrown: AgentError) => thrown,
  );
  return {
    error,
    adapters,
    verdict: read("verdict.json"),
    manifest: read("manifest.json") as ResultsManifest,
  };
}

const read = (name: string) => JSON.parse(String(server.kept.get(name) ?? "null"));

/** The server has everything that the manifest names, with that hash, and nothing else. */
function expectHonest(manifest: ResultsManifest) {
  const kept = [...server.kept].map(([name, body]) => ({
    name,
    sizeBytes: body.length,
    sha256: createHash("sha256").update(body).digest("hex"),
  }));
  const files = kept.filter(({ name }) => name !== "manifest.json" && name !== "verdict.json");
  expect(manifest.files).toEqual(files.sort((a, b) => (a.name < b.name ? -1 : 1)));
  expect(manifest.count).toBe(files.length);
}

it("uploads everything, then the manifest, then the verdict", async () => {
  write("facts");
  write("large", LARGE);
  write("empty", "");
  mkdirSync(join(folder, "deep er"));
  write("deep er/ä");
  symlinkSync("/etc/passwd", join(folder, "link"));
  writeFileSync(Buffer.concat([Buffer.from(`${folder}/odd`), Buffer.from([0xff, 0x2f + 1])]), "odd");
  const { error, manifest, verdict } = await upload();
  expect(error).toBeUndefined();
  expect(verdict).toEqual({ exitCode: 0, code: null });
  expectHonest(manifest);
  expect(manifest.files.map(({ name }) => name)).toEqual(["deep er/ä", "empty", "facts", "large", "odd%FF0"]);
  expect(manifest).toMatchObject({ version: 1, bootId: "1a2b3c4d", missing: [], leftOut: ["link"] });
  expect(server.puts.slice(-2)).toEqual(["manifest.json", "verdict.json"]);
  expect(lines.at(-1)).toMatch(/^upload: 7 of 7 files, 0\.3 MB to http:/);
});

it("uploads everything to a server that drops every third upload", async () => {
  for (let number = 0; number < 20; number++) write(`file-${number}`, LARGE.subarray(number));
  const { error, manifest } = await upload(({ number, response }) => {
    if (number % 3 === 0) response.socket?.resetAndDestroy();
    return number % 3 === 0;
  });
  expect(error).toBeUndefined();
  expectHonest(manifest);
  expect(manifest.count).toBe(20);
});

it("uploads the others if the server refuses a file, which the verdict names", async () => {
  for (let number = 0; number < 10; number++) write(`file-${number}`);
  const { error, manifest, verdict } = await upload(({ name, response }) => {
    if (/[37]$/.test(name)) response.writeHead(403).end();
    return /[37]$/.test(name);
  });
  expect(error).toMatchObject({ code: "UPLOAD_INCOMPLETE" });
  expect(error?.message).toMatch(/^Cannot upload 2 of 12 files to .*: "file-3", "file-7" are missing/);
  expect(verdict).toEqual({ exitCode: 0, code: "UPLOAD_INCOMPLETE" });
  expectHonest(manifest);
  expect(manifest.count).toBe(8);
  expect(manifest.missing).toMatchObject([
    { name: "file-3", code: "UPLOAD_REFUSED" },
    { name: "file-7", code: "UPLOAD_REFUSED" },
  ]);
});

it("uploads a log that says why a file is missing, before large files", async () => {
  write("a-core", LARGE);
  write("dutboot.log", "before\n");
  const told = pino({}, { write: (line: string) => appendFileSync(join(folder, "dutboot.log"), line) });
  server = await startKeepingServer(({ name, response }) => {
    if (name === "a-core") response.writeHead(507).end();
    return name === "a-core";
  });
  const error = await uploadResults(
    0,
    { log: told, signal: new AbortController().signal },
    {
      bootId: "1a2b3c4d",
      sender: createResultsSender({
        uploader: createPutResults(http, { prefix: server.origin }),
        takeSnapshot: snapshot,
        warn: () => {},
      }),
      listResults: () => listResults(folder),
      startProgress,
      formatVerdictFile: () => "{}",
    },
  ).catch((thrown: AgentError) => thrown);
  expect(error).toMatchObject({ code: "UPLOAD_INCOMPLETE" });
  expect(String(server.kept.get("dutboot.log"))).toMatch(/a-core.* is missing/);
  expectHonest(read("manifest.json"));
});

it("shortens long names in the verdict", async () => {
  const name = `${"n".repeat(240)}-end`;
  write(name);
  write("other");
  const { error, manifest } = await upload(({ name, response }) => {
    if (name.endsWith("-end")) response.writeHead(403).end();
    return name.endsWith("-end");
  });
  expect(error!.message.length).toBeLessThan(400);
  expect(error!.message).toMatch(/: "n{29}…n{25}-end" is missing/);
  expect(manifest.missing).toMatchObject([{ name }]);
});

it("detects a server that stores other bytes than it was sent", async () => {
  write("facts");
  write("other");
  const { error, manifest } = await upload(({ name, response }) => {
    if (name !== "other") return false;
    server.kept.set(name, Buffer.from("OTHER"));
    response.writeHead(200, { etag: `"${"0".repeat(32)}"` }).end();
    return true;
  });
  expect(error).toMatchObject({ code: "UPLOAD_INCOMPLETE" });
  expect(manifest.missing).toMatchObject([{ name: "other", code: "UPLOAD_MISMATCH" }]);
  expect(server.puts.filter((name) => name === "other")).toHaveLength(3);
});

it("fails with the common error if no file can be uploaded", async () => {
  for (let number = 0; number < 10; number++) write(`file-${number}`);
  const { error } = await upload(({ response }) => {
    response.writeHead(401).end();
    return true;
  });
  expect(error).toMatchObject({ code: "UPLOAD_REFUSED" });
  expect(server.kept.size).toBe(0);
});

it("stops trying a server that is down", async () => {
  for (let number = 0; number < 500; number++) write(`file-${number}`);
  const { error } = await upload(({ response }) => {
    response.socket?.resetAndDestroy();
    return true;
  });
  expect(error).toMatchObject({ code: "FETCH_INTERRUPTED" });
  expect(new Set(server.puts).size).toBeLessThan(30);
});

it("logs a file that vanishes without an error, and uploads a snapshot of one that changes", async () => {
  write("gone");
  write("log", LARGE);
  write("other", LARGE);
  let changes = 0;
  const { error, manifest } = await upload(
    ({ name }) => {
      // Appended to: the beginning stays what it was. Written to in its middle: it has to be taken anew.
      if (name === "log") appendFileSync(join(folder, "log"), "more");
      if (name === "other" && changes++ === 0) write("other", Buffer.concat([LARGE.subarray(9), LARGE]));
      return false;
    },
    {
      listResults() {
        const list = listResults(folder);
        rmSync(join(folder, "gone"));
        return list;
      },
    },
  );
  expect(error).toBeUndefined();
  expectHonest(manifest);
  expect(manifest.vanished).toEqual(["gone"]);
  expect(server.kept.get("log")!.equals(LARGE)).toBe(true);
  expect(server.kept.get("other")!.length).toBe(LARGE.length * 2 - 9);
});

it("uploads the manifest even after the phase's limit", async () => {
  const stop = new AbortController();
  for (let number = 0; number < 10; number++) write(`file-${number}`);
  const { error, manifest, verdict } = await upload(
    ({ number, name, response }) => {
      if (number === 5) stop.abort(new Error("the limit has passed"));
      const isLate = number > 4 && !name.endsWith(".json");
      if (isLate) response.socket?.resetAndDestroy();
      return isLate;
    },
    { signal: stop.signal },
  );
  expect(error).toBeDefined();
  expect(manifest.count).toBeLessThan(6);
  expect(manifest.count + manifest.missing.length).toBe(10);
  expect(verdict.code).toBe("BUG_UNEXPECTED");
});

it("does not send files again that are already uploaded", async () => {
  write("facts");
  const { adapters } = await upload();
  const before = server.puts.length;
  write("new");
  await uploadResults(0, { log, signal: new AbortController().signal }, adapters);
  expect(server.puts.slice(before)).toEqual(["new", "manifest.json"]);
  rmSync(join(folder, "new"));
  await uploadResults(1, { log, signal: new AbortController().signal }, adapters);
  expect((read("manifest.json") as ResultsManifest).removed).toMatchObject([{ name: "new" }]);
});
