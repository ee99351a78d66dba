/**
 * How the next boot handles the journals of earlier boots: with a real store, a directory as the destination of the results, and
 * boots that stop because nothing ends them.
 */
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { AgentError } from "../../../agent/errors.ts";
import { createNfsResults } from "../../../agent/net/uploads/nfs-results.ts";
import type { ResultsUploader } from "../../../agent/net/uploads/results-uploader.ts";
import {
  checkBootLoop,
  type PreviousBootsAdapters,
  settlePreviousBoots,
} from "../../../agent/phases/previous-boots.ts";
import { createResultsSender } from "../../../agent/phases/results-sender.ts";
import { startProgress } from "../../../agent/report/log/progress.ts";
import { takeSnapshot } from "../../../agent/report/results/file-snapshot.ts";
import { listResults } from "../../../agent/report/results/list-results.ts";
import { type Journals, openJournals } from "../../../agent/store/journals.ts";
import { putRecord } from "../../../agent/store/records.ts";
import { openStoreLayout, type StoreLayout } from "../../../agent/store/store-layout.ts";
import type { BootJournal } from "../../../agent/wire/boot-journal.ts";
import type { EventBody } from "../../../agent/wire/event.ts";

const LINE = "dut.image=busybox dut.cache=auto";
const OWN = { bootId: "ffffffff", line: LINE };

let folder: string;
let layout: StoreLayout;
let journals: Journals;
let said: string[];
let events: EventBody[];

const open = () => {
  ({ layout } = openStoreLayout(folder, { onDamage: (what) => said.push(`dropped ${what}`) }));
  journals = openJournals(layout);
};
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "dutboot-previous-"));
  said = [];
  events = [];
  open();
});
afterEach(() => {
  layout.close();
  rmSync(folder, { recursive: true });
});

const tell = (line: string) => void said.push(line);
const log = { info: tell, warn: tell } as never;
const targetOf = (bootId: string) => join(folder, "uploaded", bootId);

/** A boot that stops here. */
async function leave(bootId: string, change: Partial<BootJournal> = {}, files: Record<string, string> = {}) {
  await journals.write({
    version: 1,
    bootId,
    agent: "0.1.0",
    startedAtMs: Number.parseInt(bootId, 16),
    uptimeMs: 31_250,
    state: "running",
    phase: "run",
    step: 'main step "true"',
    phases: [{ name: "machine", outcome: "done", durationMs: 5 }],
    line: LINE,
    results: { kind: "nfs", server: "farm", path: "/results" },
    deathsBefore: 0,
    isTold: false,
    attempts: 0,
    verdict: null,
    ...change,
  });
  mkdirSync(journals.resultsOf(bootId), { recursive: true });
  for (const [name, text] of Object.entries(files))
    writeFileSync(join(journals.resultsOf(bootId), name), text);
}

/** The machine starts again. */
async function settle(change: Partial<PreviousBootsAdapters> = {}) {
  layout.close();
  open();
  const openDestination = async ({ bootId }: BootJournal) => {
    mkdirSync(targetOf(bootId), { recursive: true });
    const options = { directory: targetOf(bootId), mount: async () => {} };
    const uploader = createNfsResults({ server: "farm", path: "/", options: [] }, options);
    return { sender: createResultsSender({ uploader, takeSnapshot, warn: tell }), close: () => {} };
  };
  const signal = new AbortController().signal;
  const context = { log, signal, during: (_what: string, work: () => Promise<never>) => work() };
  return settlePreviousBoots(context as never, {
    journals,
    own: OWN,
    crash: { save: async () => {} },
    listResults: ({ bootId }) => listResults(journals.resultsOf(bootId)),
    openDestination,
    emit: (event) => void events.push(event),
    startProgress,
    readFreeBytes: () => 1e12,
    ...change,
  });
}

const uploaded = (bootId: string, name: string) => readFileSync(join(targetOf(bootId), name), "utf8");
const left = () => [readdirSync(layout.journals), readdirSync(layout.pending)];
const refuse = (uploader: Partial<ResultsUploader>) => async () => ({
  sender: createResultsSender({
    uploader: {
      destination: "nowhere",
      put: () => Promise.reject(new AgentError("UPLOAD_REFUSED", "Cannot")),
      ...uploader,
    },
    takeSnapshot,
    warn: tell,
  }),
  close: () => {},
});

it("reports a boot that stopped, uploads it with its own verdict, and drops it", async () => {
  await leave("0000000a", {}, { "partial.txt": "half", "dutboot.log": "line\n" });
  expect(await settle()).toEqual({ deaths: 1 });
  expect(said).toContain(
    'previous boot 0000000a died in phase run, main step "true", 31 s or more after its start',
  );
  expect(said).toContain("previous boot: uploaded 4 files of boot 0000000a to farm:/");
  expect(events).toEqual([
    {
      event: "previous_boot",
      bootId: "0000000a",
      state: "running",
      phase: "run",
      step: 'main step "true"',
      uptimeMs: 31_250,
    },
  ]);
  expect(uploaded("0000000a", "partial.txt")).toBe("half");
  expect(JSON.parse(uploaded("0000000a", "verdict.json"))).toMatchObject({
    verdict: "error",
    exitCode: null,
    phases: [{ name: "machine" }],
    error: { code: "MACHINE_DIED", blame: "infra", phase: "run" },
  });
  expect(JSON.parse(uploaded("0000000a", "manifest.json"))).toMatchObject({ bootId: "0000000a", count: 2 });
  expect(left()).toEqual([[], []]);
  said.length = 0;
  expect(await settle()).toEqual({ deaths: 0 });
  expect(said).toEqual([]);
});

it("uses a panic that the kernel saved as the verdict", async () => {
  await leave("0000000a");
  const savedFor: (string | undefined)[] = [];
  const save = async (bootId: string | undefined) => void savedFor.push(bootId);
  await settle({ crash: { panic: "Kernel panic - not syncing: sysrq", save } });
  expect(savedFor).toEqual(["0000000a"]);
  const { error } = JSON.parse(uploaded("0000000a", "verdict.json"));
  expect(error).toMatchObject({
    code: "KERNEL_PANIC",
    message: expect.stringContaining("not syncing: sysrq"),
  });
});

it("keeps the verdict of a boot that ended without an upload", async () => {
  const verdict = { version: 1, bootId: "0000000a", verdict: "fail", exitCode: 3, phases: [] } as const;
  await leave("0000000a", { state: "ended", verdict: { ...verdict, phases: [] } }, { a: "b" });
  expect(await settle()).toEqual({ deaths: 0 });
  expect(said).toContain("previous boot 0000000a ended and could not upload its results");
  expect(JSON.parse(uploaded("0000000a", "verdict.json"))).toMatchObject(verdict);
});

it("keeps the supervisor's verdict of a boot whose agent died", async () => {
  const error = {
    code: "AGENT_DIED",
    blame: "bug",
    phase: "run",
    message: "It ended",
    hint: "Report this",
  } as const;
  const verdict = { version: 1, bootId: "0000000a", verdict: "error", exitCode: null, error, phases: [] };
  await leave("0000000a");
  writeFileSync(join(journals.folderOf("0000000a"), "verdict.json"), `${JSON.stringify(verdict)}\n`);
  // Another boot's, and one that was cut off with the machine.
  await leave("0000000b");
  writeFileSync(join(journals.folderOf("0000000b"), "verdict.json"), JSON.stringify(verdict));
  await leave("0000000c");
  writeFileSync(join(journals.folderOf("0000000c"), "verdict.json"), JSON.stringify(verdict).slice(0, 50));
  await settle();
  expect(said).toContain("previous boot 0000000a ended with AGENT_DIED and could not upload its results");
  expect(JSON.parse(uploaded("0000000a", "verdict.json"))).toEqual(verdict);
  for (const bootId of ["0000000b", "0000000c"])
    expect(JSON.parse(uploaded(bootId, "verdict.json"))).toMatchObject({
      bootId,
      error: { code: "MACHINE_DIED" },
    });
});

it("counts consecutive boots of one line, and starts again after one that ended", async () => {
  await leave("0000000a", { deathsBefore: 3 });
  expect(await settle()).toEqual({ deaths: 4 });
  await leave("0000000b", { deathsBefore: 3, line: "another job" });
  expect(await settle()).toEqual({ deaths: 0 });
  // Kept for want of its service, and told: it counted for the boot right after it.
  await leave("0000000c", { deathsBefore: 1 });
  expect(await settle({ openDestination: async () => undefined })).toEqual({ deaths: 2 });
  expect(await settle({ openDestination: async () => undefined })).toEqual({ deaths: 0 });
});

it("refuses a line after five consecutive deaths, until a boot of it ends", async () => {
  for (let dead = 0; dead < 5; dead++) {
    const bootId = `0000000${dead}`;
    await leave(bootId, { deathsBefore: dead });
    const found = await settle();
    expect(found).toEqual({ deaths: dead + 1 });
    if (dead < 4) checkBootLoop(found);
    else expect(() => checkBootLoop(found)).toThrow(expect.objectContaining({ code: "JOB_BOOT_LOOP" }));
  }
  checkBootLoop(await settle());
});

it("keeps results whose server this job does not use, and drops the oldest first", async () => {
  for (const bootId of ["0000000a", "0000000b", "0000000c"]) await leave(bootId, {}, { a: "x".repeat(8192) });
  const openDestination = async () => undefined;
  await settle({ openDestination, limits: { keptBoots: 2 } });
  expect(left()[1]).toEqual(["0000000b", "0000000c"]);
  expect(said).toContainEqual(expect.stringMatching(/^previous boot 0000000a: .* are dropped/));
  await settle({ openDestination, limits: { keptBytes: 24_000 } });
  expect(left()[1]).toEqual(["0000000c"]);
  expect(events).toHaveLength(3);
  await settle();
  expect(uploaded("0000000c", "a")).toHaveLength(8192);
});

it("drops waiting results if the cache is full", async () => {
  await leave("0000000a");
  await settle({ openDestination: async () => undefined, readFreeBytes: () => 1e6 });
  expect(left()).toEqual([[], []]);
});

it("retries a failed upload in later boots, three times in all", async () => {
  await leave("0000000a", {}, { a: "b" });
  for (const tried of [1, 2]) {
    await settle({ openDestination: refuse({}) });
    expect(said).toContainEqual(expect.stringContaining(`kept for the next boot (${tried} of 3 tries)`));
  }
  expect(left()[0]).toEqual(["0000000a.json"]);
  await settle({ openDestination: refuse({}) });
  expect(said).toContainEqual(expect.stringMatching(/its results are given up: Cannot$/));
  expect(left()).toEqual([[], []]);
});

it("uploads from a disk that cannot be written", async () => {
  await leave("0000000a", {}, { a: "b" });
  layout.close();
  open();
  const write = () => Promise.reject(new Error("ENOSPC: no space left on device"));
  expect(await settle({ journals: { ...journals, write } })).toEqual({ deaths: 1 });
  expect(uploaded("0000000a", "a")).toBe("b");
  expect(left()).toEqual([[], []]);
});

it("does not fail this job for credentials that cannot be read", async () => {
  await leave("0000000a");
  const openDestination = () => Promise.reject(new AgentError("CREDENTIAL_BAD_FILE", "Cannot read the keys"));
  expect(await settle({ openDestination })).toEqual({ deaths: 1 });
  expect(said).toContainEqual(expect.stringContaining("Cannot read the keys"));
});

it("limits the time for a server that never answers", async () => {
  await leave("0000000a", {}, { a: "b" });
  const put: ResultsUploader["put"] = async ({ name }, { signal }) => {
    if (name === "a") await new Promise((_resolve, reject) => signal.addEventListener("abort", reject));
  };
  const begunAt = performance.now();
  await settle({ openDestination: refuse({ put }), limits: { timeMs: 100 } });
  expect(performance.now() - begunAt).toBeLessThan(30_000);
  expect(left()[0]).toEqual(["0000000a.json"]);
});

it("drops invalid journals and unnamed results with a warning, and does not follow links", async () => {
  const outside = join(folder, "outside");
  mkdirSync(outside);
  writeFileSync(join(outside, "precious"), "still here");
  await leave("0000000a");
  writeFileSync(
    join(layout.journals, "0000000b.json"),
    readFileSync(join(layout.journals, "0000000a.json")).subarray(0, 90),
  );
  putRecord(layout, layout.journals, "0000000c.json", '{"version":0}');
  // Of a later agent: neither it nor its results are ours to drop.
  putRecord(layout, layout.journals, "00000002.json", '{"version":2}');
  mkdirSync(join(layout.pending, "00000002"));
  putRecord(
    layout,
    layout.journals,
    "0000000d.json",
    readFileSync(join(layout.journals, "0000000a.json")).subarray(0, -32),
  );
  symlinkSync(join(outside, "precious"), join(layout.journals, "0000000e.json"));
  mkdirSync(join(layout.journals, "folder"));
  writeFileSync(join(layout.journals, "0000000f.json"), Buffer.alloc(300 * 1024));
  symlinkSync(outside, join(layout.pending, "0000000e"));
  mkdirSync(join(layout.pending, "\x1b[31m"));
  expect(await settle()).toEqual({ deaths: 1 });
  const dropped = said.filter((line) => line.startsWith("dropped ")).sort();
  expect(dropped).toEqual([
    "dropped journals/0000000b.json of an earlier boot (it is damaged or truncated)",
    "dropped journals/0000000c.json of an earlier boot (unknown version 0)",
    "dropped journals/0000000d.json of an earlier boot (it belongs to another boot)",
    "dropped journals/0000000e.json of an earlier boot (it is not a journal)",
    "dropped journals/0000000f.json of an earlier boot (it is not a journal)",
    "dropped journals/folder of an earlier boot (it is not a journal)",
    "dropped pending/0000000e of an earlier boot (it has no journal)",
    "dropped pending/\\u001b[31m of an earlier boot (it has no journal)",
  ]);
  expect(left()).toEqual([["00000002.json"], ["00000002"]]);
  expect(readFileSync(join(outside, "precious"), "utf8")).toBe("still here");
});
