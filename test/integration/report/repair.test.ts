/** `dutboot repair` as it is called: files, folders of parts, and calls that make no sense. */
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";

const DUTBOOT = join(import.meta.dirname, "../../../scripts/dutboot.ts");
let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "dutboot-repair-"));
  mkdirSync(join(folder, "parts/1"), { recursive: true });
  writeFileSync(join(folder, "serial.log"), "U-Boot\r\nhello, boot 1a2b3c4d\r\ntor\r\nend\r\n");
  writeFileSync(
    join(folder, "parts/1/log-1a2b3c4d-00001.txt"),
    "1a2b3c4d 1 0.100 hello, boot 1a2b3c4d\n1a2b3c4d 2 0.200 torn line\n",
  );
  writeFileSync(
    join(folder, "parts/1/log-1a2b3c4d-00002.txt"),
    "1a2b3c4d 3 0.300 lost line\n1a2b3c4d 5 0.400 end\n",
  );
  writeFileSync(
    join(folder, "syslog"),
    '<134>1 - dut test 1a2b3c4d - [meta sequenceId="4" sysUpTime="35"] lost too\n',
  );
});
afterAll(() => rmSync(folder, { recursive: true }));

const call = (...words: string[]) =>
  spawnSync(process.execPath, [DUTBOOT, "repair", ...words], { cwd: folder, encoding: "utf8" });

it("repairs from a folder of parts", () => {
  const { status, stdout, stderr } = call("serial.log", "parts");
  expect(stdout).toBe("U-Boot\nhello, boot 1a2b3c4d\ntorn line\nlost line\nend\n");
  expect(stderr).toBe(
    "repair: restored 2 lines, replaced 1 damaged lines and 0 notes; the serial log had 4 lines, the network log has 4; 1 lines are missing in the network log as well\n",
  );
  expect(status).toBe(0);
});

it("repairs from several files, into one", () => {
  const { status, stdout } = call("--output", "whole.log", "serial.log", "syslog", "parts");
  expect(stdout).toBe("");
  expect(readFileSync(join(folder, "whole.log"), "utf8")).toBe(
    "U-Boot\nhello, boot 1a2b3c4d\ntorn line\nlost line\nlost too\nend\n",
  );
  expect(status).toBe(0);
});

it.each([
  ["no file", [], /a serial log and at least one network log/],
  ["one file", ["serial.log"], /a serial log and at least one network log/],
  ["a file that is not there", ["serial.log", "none"], /no such file/],
  [
    "a file without a numbered line",
    ["serial.log", "serial.log"],
    /Cannot find a numbered line in serial\.log/,
  ],
])("%s is refused", (_name, words, message) => {
  const { status, stderr } = call(...words);
  expect(stderr).toMatch(message);
  expect(status).toBe(2);
});
