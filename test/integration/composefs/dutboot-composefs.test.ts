/**
 * `dutboot composefs` as a person calls it: digests, files, standard input, and what it says of bad dumps.
 * The digests are the golden ones.
 */

import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, test } from "vitest";

const script = fileURLToPath(new URL("../../../scripts/dutboot.ts", import.meta.url));
const golden = fileURLToPath(new URL("../../golden/composefs/", import.meta.url));
const directory = mkdtempSync(join(tmpdir(), "dutboot-composefs-"));
afterAll(() => rmSync(directory, { recursive: true }));

function dutboot(args: readonly string[], input?: Buffer) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [script, "composefs", ...args], {
    input,
    encoding: "utf8",
  });
  return { status, stdout, stderr };
}

const rows = readFileSync(join(golden, "digests.tsv"), "utf8")
  .trim()
  .split("\n")
  .map((line) => line.split("\t"));
const findRow = (name: string, version: 0 | 1) =>
  rows.find((row) => row[0] === name && row[2] === `--min-version=${version} --max-version=${version}`)!;
const NAME = "19-whiteout-in-subdir";
const DUMP = join(golden, `${NAME}.dump`);

describe("dutboot composefs", () => {
  test("prints the digest, of format 1 by default", () => {
    expect(dutboot([DUMP])).toMatchObject({ status: 0, stdout: `${findRow(NAME, 1)[4]}\n`, stderr: "" });
    expect(dutboot(["--digest", DUMP]).stdout).toBe(`${findRow(NAME, 1)[4]}\n`);
    expect(dutboot(["--format", "1", DUMP]).stdout).toBe(`${findRow(NAME, 1)[4]}\n`);
    expect(dutboot(["--format", "0", DUMP]).stdout).toBe(`${findRow(NAME, 0)[4]}\n`);
  });

  test("writes the image", () => {
    const output = join(directory, "image");
    expect(dutboot(["--output", output, "--format", "0", DUMP])).toMatchObject({ status: 0, stdout: "" });
    expect(createHash("sha256").update(readFileSync(output)).digest("hex")).toBe(findRow(NAME, 0)[5]);
    expect(dutboot(["--output", output, "--digest", DUMP]).stdout).toBe(`${findRow(NAME, 1)[4]}\n`);
    expect(createHash("sha256").update(readFileSync(output)).digest("hex")).toBe(findRow(NAME, 1)[5]);
  });

  test("reads standard input", () => {
    expect(dutboot(["-"], readFileSync(DUMP)).stdout).toBe(`${findRow(NAME, 1)[4]}\n`);
  });

  test("reports an invalid dump with line and code, and writes nothing", () => {
    const dump = join(directory, "bad.dump");
    const output = join(directory, "bad-image");
    writeFileSync(dump, "/ 4096 40755 2 0 0 0 0.0 - - -\n/a/b 0 100644 1 0 0 0 0.0 - - -\n");
    const result = dutboot(["--output", output, dump]);
    expect(result).toMatchObject({ status: 202, stdout: "" });
    expect(result.stderr).toContain("Cannot read line 2 of the dump");
    expect(result.stderr).toContain("COMPOSEFS_DUMP_PATH");
    expect(existsSync(output)).toBe(false);
  });

  test.each([
    ["no dump", []],
    ["two dumps", [DUMP, DUMP]],
    ["an unknown format", ["--format", "2", DUMP]],
    ["an unknown option", ["--colour", DUMP]],
    ["a file that is not there", [join(directory, "missing")]],
    ["a folder to write into that is not there", ["--output", join(directory, "no/image"), DUMP]],
  ])("refuses %s", (_, args) => {
    const result = dutboot(args);
    expect(result).toMatchObject({ status: 2, stdout: "" });
    expect(result.stderr).toMatch(/^dutboot: /);
  });

  test("has a help", () => {
    expect(dutboot(["--help"])).toMatchObject({ status: 0 });
    expect(dutboot(["--help"]).stdout).toContain("DUMPFILE");
  });
});
