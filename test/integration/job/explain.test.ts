/** `dutboot explain` as a command: where the line comes from, what is printed, and the exit code. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, expect, it } from "vitest";

const DUTBOOT = fileURLToPath(new URL("../../../scripts/dutboot.ts", import.meta.url));
const GOOD = "dut.image=h:1/i dut.end";

function explain(words: readonly string[], input = "") {
  const { status, stdout, stderr } = spawnSync(process.execPath, [DUTBOOT, "explain", ...words], {
    input,
    encoding: "utf8",
  });
  return { status, stdout, stderr };
}

const folder = mkdtempSync(join(tmpdir(), "dutboot-explain-"));
afterAll(() => rmSync(folder, { recursive: true }));

function writeTemporary(name: string, text: string): string {
  const path = join(mkdtempSync(join(folder, "file-")), name);
  writeFileSync(path, text);
  return path;
}

it("a valid line for people", () => {
  const { status, stdout } = explain([`dut.artifact=https://a/b.tar ${GOOD}`]);
  expect(status).toBe(0);
  expect(stdout).toMatch(/^dialect: dut$/m);
  expect(stdout).toMatch(/^ +artifact +unpack https:\/\/a\/b.tar at \/$/m);
  expect(stdout).toMatch(/^valid: no error, no warning$/m);
});

it("every complaint of a line that is wrong", () => {
  const { status, stdout } = explain(["dut.iamge=x dut.timeout=15"]);
  expect(status).toBe(2);
  expect(stdout).toMatch(/^error: .*"dut.image" \(CMDLINE_UNKNOWN_OPTION\)$/m);
  expect(stdout).toMatch(/\(CMDLINE_BAD_VALUE\)$/m);
  expect(stdout).toMatch(/^warning: no end marker/m);
  expect(stdout).toMatch(/^invalid: 3 errors, 1 warning$/m);
});

it.each([
  ["the operand", [GOOD], ""],
  ["stdin", [], `${GOOD}\n`],
  ["stdin by name", ["-"], GOOD],
  ["a file", [writeTemporary("line", `${GOOD}\n`)], ""],
])("reads the line from %s", (_name, words, input) => {
  const { status, stdout } = explain([...words, "--json"], input);
  expect(status).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({ dialect: "dut", job: { root: { image: "h:1/i:latest" } } });
});

it("reads the files that the DUT would fetch", () => {
  const extra = writeTemporary("extra", 'b2c.run="h:1/i\n ls"\nb2c.pipefail\n');
  const { status, stdout } = explain([
    "--json",
    "--extra-args",
    extra,
    "b2c.extra_args_url=http://h/x b2c.cache_device=auto",
  ]);
  expect(status).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({
    dialect: "b2c",
    job: { stopsAtFailure: true, steps: [{ kind: "main", argv: ["ls"] }], cache: { choice: "auto" } },
  });

  const job = writeTemporary("job.json", JSON.stringify({ image: "h:1/i", timeout: "5m" }));
  expect(explain(["--job", job, "dut.timeout=1m"])).toMatchObject({ status: 0 });
  const yaml = writeTemporary("job.yaml", "image: h:1/i\nenv:\n  API_TOKEN: hunter2\nrun: |\n  a\n  b\n");
  const { status: yamlStatus, stdout: text } = explain([
    "--json",
    "--job",
    yaml,
    "dut.job=https://h/j dut.run=c",
  ]);
  expect(yamlStatus).toBe(0);
  expect(text).not.toContain("hunter2");
  expect(JSON.parse(text)).toMatchObject({
    dialect: "dut",
    job: { steps: [{ argv: ["/bin/sh", "-c", "c"] }] },
    warnings: [
      expect.stringContaining("dut.run: the command line overrides"),
      expect.stringContaining("dut.end"),
    ],
  });
  const broken = explain(["--job", writeTemporary("job.json", "{"), GOOD]);
  expect(broken).toMatchObject({ status: 2, stdout: expect.stringContaining("JOB_FILE_INVALID") });
});

it.each([
  ["two operands", ["a", "b"]],
  ["a missing file", ["--extra-args", "/nowhere", GOOD]],
  ["an unknown option", ["--nonsense", GOOD]],
])("a wrong call: %s", (_name, words) => {
  const { status, stdout, stderr } = explain(words);
  expect(status).toBe(2);
  expect(stdout).toBe("");
  expect(stderr).toMatch(/^dutboot: /);
});
