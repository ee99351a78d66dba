/** The upload of results while the test runs: what is sent, how often, what an outage looks like, and how it ends. */
import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, expect, it, vi } from "vitest";
import { createHttpClient, type HttpClient } from "../../../agent/net/http/http-client.ts";
import { createPutResults } from "../../../agent/net/uploads/put-results.ts";
import { createResultsSender } from "../../../agent/phases/results-sender.ts";
import { type ResultsSync, type SyncHook, startResultsSync } from "../../../agent/phases/sync-results.ts";
import { takeSnapshot } from "../../../agent/report/results/file-snapshot.ts";
import { listResults } from "../../../agent/report/results/list-results.ts";
import { describePartial } from "../../../agent/wiring/results.ts";
import { type Fault, type KeepingServer, startKeepingServer } from "../../servers/keeping-server.ts";

const INTERVAL_MS = 30;

let http: HttpClient;
let folder: string;
let server: KeepingServer;
let sync: ResultsSync;
let lines: string[];
/** Turns that the sync has begun. */
let turns: number;

beforeAll(() => {
  http = createHttpClient({ insecureHosts: ["127.0.0.1"], log: { warn: (line) => lines.push(line) } });
});
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "dutboot-sync-"));
  lines = [];
  turns = 0;
});
afterEach(async () => {
  await sync.stop();
  await server.close();
  rmSync(folder, { recursive: true, force: true });
});
afterAll(() => http.close());

const write = (name: string, content: string | Buffer = name) => writeFileSync(join(folder, name), content);
const until = (check: () => void) => vi.waitFor(check, { timeout: 10_000, interval: 5 });
const awaitTurns = (count: number) => {
  const wanted = turns + count;
  return until(() => expect(turns).toBeGreaterThanOrEqual(wanted));
};
const countPuts = (name: string) => server.puts.filter((each) => each === name).length;

async function start(fault?: Fault, more: { hooks?: SyncHook[]; stopGraceMs?: number } = {}) {
  server = await startKeepingServer(fault);
  const sender = createResultsSender({
    uploader: createPutResults(http, { prefix: server.origin }),
    takeSnapshot,
    warn: (message) => lines.push(message),
  });
  sync = startResultsSync({
    intervalMs: INTERVAL_MS,
    results: {
      sender,
      listFiles: () => listResults(folder).files,
      describePartial: () =>
        describePartial({ bootId: "1a2b3c4d", phase: "run", uptimeMs: performance.now(), complete: false }),
    },
    warn: (message) => lines.push(message),
    info: (message) => lines.push(message),
    ...more,
    hooks: [{ name: "turns", run: () => void turns++ }, ...(more.hooks ?? [])],
  });
  return sender;
}

it("sends each changed file once, and a file that says that the results are incomplete", async () => {
  write("still");
  write("log", "one\n");
  await start();
  await until(() => expect(server.puts).toEqual(["log", "still", "partial.json"]));
  await awaitTurns(5);
  expect(server.puts).toHaveLength(3);
  appendFileSync(join(folder, "log"), "two\n");
  await until(() => expect(String(server.kept.get("log"))).toBe("one\ntwo\n"));
  await until(() => expect(countPuts("partial.json")).toBe(2));
  expect(countPuts("still")).toBe(1);
  expect(JSON.parse(String(server.kept.get("partial.json")))).toMatchObject({
    version: 1,
    bootId: "1a2b3c4d",
    phase: "run",
    complete: false,
  });
  expect(lines).toEqual([]);
});

it("rarely sends a large file that keeps changing, and small ones in each sync", async () => {
  write("large", Buffer.alloc(1_000_000));
  write("small");
  await start();
  const startedAt = performance.now();
  await until(() => {
    appendFileSync(join(folder, "large"), "more");
    appendFileSync(join(folder, "small"), "more");
    expect(countPuts("small")).toBeGreaterThan(3);
  });
  // A megabyte takes four seconds at its rate.
  const elapsedSeconds = (performance.now() - startedAt) / 1000;
  expect(countPuts("large")).toBeLessThanOrEqual(1 + Math.floor(elapsedSeconds / 3.8));
});

it("warns of an outage once, and logs its end", async () => {
  write("log");
  let isOut = true;
  await start(({ response }) => {
    if (isOut) response.socket?.resetAndDestroy();
    return isOut;
  });
  await until(() => expect(server.puts.length).toBeGreaterThan(4));
  expect(lines).toEqual([expect.stringMatching(/^sync: results cannot be saved while the test runs/)]);
  isOut = false;
  await until(() => expect(lines).toHaveLength(2));
  expect(lines[1]).toBe("sync: results can be saved again");
  expect(String(server.kept.get("log"))).toBe("log");
});

it("sends the others if one file is refused", async () => {
  for (const name of ["a", "b", "c", "d"]) write(name);
  await start(({ name, response }) => {
    if (name === "a") response.writeHead(403).end();
    return name === "a";
  });
  await until(() => expect([...server.kept.keys()]).toEqual(expect.arrayContaining(["b", "c", "d"])));
});

it("runs one sync at a time, and waits for current uploads at the end", async () => {
  write("log");
  let running = 0;
  let most = 0;
  await start(({ response }) => {
    most = Math.max(most, ++running);
    response.on("close", () => running--);
    return false;
  });
  await until(() => expect(server.puts.length).toBeGreaterThan(0));
  for (let turn = 0; turn < 5; turn++) {
    appendFileSync(join(folder, "log"), "more");
    await awaitTurns(1);
  }
  appendFileSync(join(folder, "log"), "last");
  await sync.stop();
  const { length } = server.puts;
  // Another sync beside it takes as many turns as it would have.
  const other = startResultsSync({
    intervalMs: INTERVAL_MS,
    hooks: [{ name: "turns", run: () => void turns++ }],
    warn: () => {},
    info: () => {},
  });
  await awaitTurns(3);
  await other.stop();
  expect(server.puts).toHaveLength(length);
  expect({ running, most }).toEqual({ running: 0, most: 1 });
});

it("does not wait long for a server that does not answer", async () => {
  write("log");
  const sender = await start(() => true, { stopGraceMs: 50 });
  await until(() => expect(server.puts).toHaveLength(1));
  const startedAt = performance.now();
  await sync.stop();
  expect(performance.now() - startedAt).toBeLessThan(3_000);
  expect(sender.sent.size).toBe(0);
  expect(lines).toEqual([]);
});

it("runs its hooks at each turn, and warns once of one that fails", async () => {
  let runs = 0;
  const fail = () => {
    throw new Error("no cache");
  };
  await start(undefined, {
    hooks: [
      { name: "the journal", run: fail },
      { name: "the cache", run: () => void runs++ },
    ],
  });
  await until(() => expect(runs).toBeGreaterThan(3));
  expect(lines).toEqual([expect.stringMatching(/^sync: the journal cannot be saved.*no cache/)]);
});
