/** Our files among a test's: what becomes of a test's file under a name of ours, of removed logs, and of a writer that fails. */
import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { type AgentFiles, createAgentFiles } from "../../../../agent/report/results/agent-files.ts";
import { takeSnapshot } from "../../../../agent/report/results/file-snapshot.ts";
import { writeAgentFiles } from "../../../../agent/report/results/write-agent-files.ts";
import { createVerdict } from "../../../../agent/wire/verdict.ts";

let folder: string;
let warnings: string[];
let files: AgentFiles;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "dutboot-own-files-"));
  warnings = [];
  files = createAgentFiles(folder, {
    warn: (message) => warnings.push(message),
    redact: (text) => text.replaceAll("geheim", "[hidden]"),
    reserved: ["verdict.json", "job.json"],
  });
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const noError = (error: Error) => warnings.push(error.message);
const inFolder = (name: string) => join(folder, name);
const readAll = async () => {
  const all = await Promise.all(files.list().files.map((file) => takeSnapshot(file)));
  return Object.fromEntries(all.map((file) => [file!.name, String(file!.body)]));
};

it("lists the agent's files and the test's", async () => {
  files.openLog("dutboot.log", noError).write("a line\n");
  const step = files.openLog("steps/1-main.log", noError);
  step.write("raw");
  step.close();
  step.write("too late");
  files.write("job.json", '{"token":"geheim"}');
  files.write("job.json", '{"token":"geheim again"}');
  writeFileSync(inFolder("facts"), "of the test");
  expect(await readAll()).toEqual({
    "dutboot.log": "a line\n",
    facts: "of the test",
    "job.json": '{"token":"[hidden] again"}',
    "steps/1-main.log": "raw",
  });
  expect(warnings).toEqual([]);
});

it("renames a test's file with an agent file's name, with a warning", async () => {
  writeFileSync(inFolder("job.json"), "the test's");
  writeFileSync(inFolder("job.json.of-the-test"), "an earlier one");
  mkdirSync(inFolder("verdict.json"));
  writeFileSync(inFolder("verdict.json/inside"), "the test's too");
  writeFileSync(inFolder("steps"), "no folder");
  files.openLog("steps/1-main.log", noError).write("raw");
  files.write("job.json", "ours");
  expect(await readAll()).toEqual({
    "job.json": "ours",
    "job.json.of-the-test": "an earlier one",
    "job.json.of-the-test-2": "the test's",
    "steps.of-the-test": "no folder",
    "steps/1-main.log": "raw",
    "verdict.json.of-the-test/inside": "the test's too",
  });
  expect(warnings).toHaveLength(3);
});

it("does not write through a link of the test", async () => {
  writeFileSync(inFolder("precious"), "precious");
  symlinkSync(inFolder("precious"), inFolder("job.json"));
  symlinkSync(inFolder("precious"), inFolder(".job.json.partial"));
  files.write("job.json", "ours");
  expect(await readAll()).toEqual({ "job.json": "ours", precious: "precious" });
  expect(files.list().leftOut).toEqual(["job.json.of-the-test"]);
});

it("uploads a log that the test removed or replaced", async () => {
  const log = files.openLog("dutboot.log", noError);
  const events = files.openLog("events.jsonl", noError);
  log.write("before, ");
  rmSync(inFolder("dutboot.log"));
  rmSync(inFolder("events.jsonl"));
  writeFileSync(inFolder("events.jsonl"), "forged");
  log.write("after");
  events.write("{}\n");
  expect(await readAll()).toEqual({
    "dutboot.log": "before, after",
    "events.jsonl": "{}\n",
    "events.jsonl.of-the-test": "forged",
  });
});

it("continues after a writer that fails, with a warning", async () => {
  const fail = () => {
    throw new Error("no data");
  };
  await writeAgentFiles(
    [
      { name: "junit.xml", write: fail },
      { name: "report.html", write: async () => undefined },
      { name: "job.json", write: ({ verdict }) => verdict.verdict },
    ],
    { verdict: createVerdict({ bootId: "1a2b3c4d", records: [] }, 0) },
    { files, warn: (message) => warnings.push(message) },
  );
  expect(await readAll()).toEqual({ "job.json": "pass" });
  expect(warnings).toEqual(['results: cannot make "junit.xml": no data']);
});

it("continues open logs in the new folder, with their content", async () => {
  const log = files.openLog("dutboot.log", noError);
  const step = files.openLog("steps/1-main.log", noError);
  const closed = files.openLog("steps/2-main.log", noError);
  log.write("before\n");
  step.write("0123456789");
  closed.close();
  const aside = `${folder}-aside`;
  const swap = () => {
    renameSync(folder, aside);
    mkdirSync(folder);
    writeFileSync(inFolder("dutboot.log"), "a copy that is older");
  };
  files.moveLogs(swap, { maxBytes: 8 });
  log.write("after\n");
  step.write("X");
  rmSync(aside, { recursive: true });
  expect(await readAll()).toEqual({ "dutboot.log": "before\nafter\n", "steps/1-main.log": "23456789X" });
  expect(warnings).toEqual([]);
});

it("keeps a log that cannot be moved, with a warning", async () => {
  const log = files.openLog("dutboot.log", noError);
  const aside = `${folder}-aside`;
  files.moveLogs(
    () => {
      renameSync(folder, aside);
      mkdirSync(inFolder("dutboot.log"), { recursive: true });
    },
    { maxBytes: 100 },
  );
  log.write("still here");
  expect(readFileSync(join(aside, "dutboot.log"), "utf8")).toBe("still here");
  expect(warnings).toEqual([expect.stringMatching(/^results: cannot move "dutboot.log"/)]);
  rmSync(aside, { recursive: true });
});
