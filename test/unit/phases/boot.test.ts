/** The order of the phases, and that a failure in any of them still reaches the upload and the end. */
import pino from "pino";
import { describe, expect, it } from "vitest";
import { AgentError } from "../../../agent/errors.ts";
import { readCommandLine } from "../../../agent/job/read-job.ts";
import { type BootAdapters, boot, type JobAdapters } from "../../../agent/phases/boot.ts";
import { createPhaseRunner } from "../../../agent/phases/phase-runner.ts";
import type { UploadAdapters } from "../../../agent/phases/upload.ts";
import { createAnnouncer } from "../../../agent/report/console/b2c-announcer.ts";
import type { ContainerExit } from "../../../agent/sys/container/container.ts";

const PLAIN = "dut.image=farm:5000/image dut.run=true";
const FULL = `${PLAIN} dut.artifact=https://farm/a.tar dut.results=https://farm/results dut.volume=kept`;

const CONFIG = { env: [], entrypoint: [], cmd: [], workingDir: "/", user: "" };
const PASSED: ContainerExit = { exitCode: 0, endedBy: "exit", oomKilled: false, timedOut: false };

interface Situation {
  line?: string;
  /** The calls that fail. */
  fails?: readonly string[];
  exit?: Partial<ContainerExit>;
  full?: "root" | "results";
}

/** Boots with adapters that do nothing but note their calls. */
async function run({ line = FULL, fails = [], exit = {}, full }: Situation) {
  const calls: string[] = [];
  const statuses: number[] = [];
  const call = <T>(name: string, result: T): T => {
    calls.push(name);
    if (fails.includes(name)) throw new AgentError("RUN_CONTAINER_FAILED", `Cannot ${name}`);
    return result;
  };
  const log = pino({ level: "silent" });
  const runner = createPhaseRunner({
    bootId: "1a2b3c4d",
    log,
    emit: () => {},
    onStart: (phase) => calls.push(`[${phase}]`),
    onEnd: () => {},
    readSilenceMs: () => 0,
  });
  const announcer = {
    ...createAnnouncer("dut", { console: { line: () => {} }, readUptimeMs: () => 0 }),
    ended: (status: number) => void statuses.push(status),
  };
  const { job: lineJob, errors } = readCommandLine(line);
  if (!lineJob) throw errors[0];
  const startProgress = () => ({ add() {}, reuse() {}, setTotal() {}, stop() {} }) as never;
  const root = {
    path: "/root",
    unpackArchive: async () => call("unpack", UNPACKED),
    unmount: async () => {},
  };
  const adapters = {
    registry: {
      resolveImage: async () => call("resolve", { layers: [], manifestDigest: "", config: CONFIG }),
    },
    rootDriver: { warmUp() {}, expectLayers() {}, mount: async () => call("mount", root) },
    openArchive: () => ({ open: async () => ({ body: [] }) }),
    planRoot: () => ({}),
    findStoredImage: () => undefined,
    readFreeBytes: () => 0,
    platform: {},
    startProgress,
    emit: () => {},
    runContainer: async () => call("container", { ...PASSED, ...exit }),
    openOutput: () => ({ write() {}, end() {} }),
    dropDamagedObjects: async () => 0,
    findFullFileSystem: () => full,
    volumes: {
      prepare: async () => call("prepare volumes", undefined),
      runHooks: async () => {},
      resolveMounts: () => ({ mounts: [], tmpfs: [] }),
      noteRun: () => {},
      finish: async () => call("finish volumes", undefined),
    },
  } as unknown as JobAdapters;
  const results: UploadAdapters = {
    bootId: "1a2b3c4d",
    sender: {
      destination: "https://farm/results",
      sent: new Map(),
      send: async ({ name, sizeBytes }) => call(`send ${name}`, { name, sizeBytes, sha256: "" }),
    },
    listResults: () => ({ files: [FACTS], leftOut: [] }),
    startProgress,
    formatVerdictFile: () => "{}",
  };
  const machine: BootAdapters = {
    announcer,
    attachEventPort: () => true,
    loadModules: async () => call("load modules", undefined),
    readJob: () => call("read job", lineJob),
    loadJobModules: async () => call("load job modules", undefined),
    bringUpNetwork: async () => call("network", { interfaces: [], ntpServers: [] } as never),
    setClock: async () => call("clock", { isRight: true }),
    completeJob: async () => call("complete job", lineJob),
    connect: async () =>
      call("connect", {
        results: lineJob.results && results,
        openStore: async () =>
          call("open store", {
            adapters,
            settlePreviousBoots: async () => call("previous boots", undefined),
          }),
      }),
    applySettings: async () => call("settings", undefined),
    startSync: () => ({ stop: async () => call("stop sync", undefined) }),
    writeAgentFiles: async () => call("reports", undefined),
    release: async ({ root: mounted }) => call(mounted ? "release with root" : "release", undefined),
  };
  const result = await boot(runner, machine);
  const failure = result.verdict.error;
  return { result, calls, statuses, failedIn: failure && `${failure.phase}: ${failure.code}` };
}

const FACTS = { name: "facts", content: Buffer.alloc(0), sizeBytes: 0, stamp: "" };
const UNPACKED = { files: 0, bytes: 0, warnings: [] };
const SENT = ["reports", "send facts", "send manifest.json", "send verdict.json"];
const SAVED = ["finish volumes", ...SENT];

describe("a boot", () => {
  it("runs the phases in order", async () => {
    const { calls, result, statuses } = await run({});
    expect(calls).toEqual([
      ...["[machine]", "load modules", "read job", "load job modules", "network", "clock", "complete job"],
      ...["connect", "settings", "open store", "previous boots"],
      ...["[fetch]", "resolve"],
      ...["[assemble]", "prepare volumes", "mount"],
      ...["[artifact]", "unpack"],
      ...["[run]", "container"],
      ...["[upload]", "stop sync", ...SAVED],
      ...["[end]", "release with root"],
    ]);
    expect(result).toMatchObject({ verdict: { verdict: "pass", exitCode: 0 }, steps: { exitCode: 0 } });
    expect(statuses).toEqual([0]);
  });

  it("skips phases that have nothing to do", async () => {
    const { calls, result } = await run({ line: PLAIN });
    expect(calls).not.toContain("[artifact]");
    expect(calls).not.toContain("[upload]");
    expect(calls.slice(-4)).toEqual(["stop sync", "reports", "[end]", "release with root"]);
    expect(result.verdict.phases.map(({ name, outcome }) => `${name} ${outcome}`)).toEqual([
      ...["machine done", "fetch done", "assemble done", "artifact skipped"],
      ...["run done", "upload skipped", "end done"],
    ]);
  });
});

describe("a failure", () => {
  it.each([
    // Before the job is known, there is nothing to save.
    ["load modules", "machine", []],
    ["read job", "machine", []],
    ["load job modules", "machine", []],
    ["network", "machine", []],
    ["clock", "machine", []],
    ["complete job", "machine", []],
    ["connect", "machine", []],
    // Before the store is open, there are no volumes.
    ["settings", "machine", SENT],
    ["open store", "machine", SENT],
    ["previous boots", "machine", SAVED],
    ["resolve", "fetch", SAVED],
    ["prepare volumes", "assemble", SAVED],
    ["mount", "assemble", SAVED],
    ["unpack", "artifact", SAVED],
    ["container", "run", ["stop sync", ...SAVED]],
    ["finish volumes", "upload", SAVED],
    ["send manifest.json", "upload", SAVED],
    ["release with root", "end", SAVED],
  ])("of %s ends phase %s, and the rest is still saved and released", async (call, phase, saved) => {
    const { calls, failedIn, statuses, result } = await run({ fails: [call] });
    expect(failedIn).toMatch(new RegExp(`^${phase}: (RUN_CONTAINER_FAILED|UPLOAD_INCOMPLETE)$`));
    const uploadCalls = calls.slice(calls.indexOf("[upload]") + 1, calls.indexOf("[end]"));
    if (saved.length > 0) expect(uploadCalls).toEqual(expect.arrayContaining(saved));
    else expect(calls.slice(-3)).toEqual(["reports", "[end]", "release"]);
    expect(calls.filter((each) => each.startsWith("release"))).toEqual([calls.at(-1)]);
    expect(result.verdict.phases.at(-1)?.name).toBe("end");
    expect(statuses).toEqual([phase === "end" ? 0 : call === "container" ? 125 : 1]);
  });

  it("is the verdict even if the upload and the release fail too", async () => {
    const { failedIn } = await run({ fails: ["mount", "send verdict.json", "release"] });
    expect(failedIn).toBe("assemble: RUN_CONTAINER_FAILED");
  });

  it("of the volumes does not stop the upload, whose own failure comes first", async () => {
    const { failedIn, calls } = await run({ fails: ["finish volumes", "send manifest.json"] });
    expect(failedIn).toBe("upload: UPLOAD_INCOMPLETE");
    expect(calls).toContain("send verdict.json");
  });
});

describe("the test's result", () => {
  it.each<[string, Situation, object, number]>([
    ["exit code 0", {}, { verdict: "pass", exitCode: 0 }, 0],
    ["exit code 7", { exit: { exitCode: 7 } }, { verdict: "fail", exitCode: 7 }, 7],
    [
      "out of memory",
      { exit: { exitCode: 137, oomKilled: true } },
      { verdict: "error", exitCode: 137, error: { code: "TEST_OUT_OF_MEMORY" } },
      137,
    ],
    ["out of memory, but passed", { exit: { oomKilled: true } }, { verdict: "pass", exitCode: 0 }, 0],
    [
      "a full root",
      { exit: { exitCode: 1 }, full: "root" },
      { verdict: "error", exitCode: 1, error: { code: "ROOT_NO_SPACE" } },
      1,
    ],
    [
      "a full results folder",
      { exit: { exitCode: 1 }, full: "results" },
      { verdict: "error", exitCode: 1, error: { code: "RESULTS_NO_SPACE" } },
      1,
    ],
    ["a full root, but passed", { full: "root" }, { verdict: "pass", exitCode: 0 }, 0],
    [
      "a step that cannot run",
      { fails: ["container"] },
      { verdict: "error", exitCode: null, error: { code: "RUN_CONTAINER_FAILED", phase: "run" } },
      125,
    ],
    [
      "a pass whose upload fails",
      { fails: ["send manifest.json"] },
      { verdict: "error", exitCode: 0, error: { code: "UPLOAD_INCOMPLETE" } },
      1,
    ],
  ])("%s", async (_name, situation, verdict, status) => {
    const { result, statuses } = await run(situation);
    expect(result.verdict).toMatchObject(verdict);
    expect(statuses).toEqual([status]);
  });
});
