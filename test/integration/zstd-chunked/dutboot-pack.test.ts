/**
 * `dutboot pack` as a person calls it: any tar becomes an archive that the zstd program turns back into it.
 * A bad tar leaves nothing behind, and the same tar gives the same archive however it is compressed.
 */

import { execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { afterAll, describe, expect, test } from "vitest";
import { compress } from "zstd-napi";
import { FOOTER_TAIL_BYTES, parseFooter } from "../../../agent/archive/zstd-chunked/positions.ts";

const script = fileURLToPath(new URL("../../../scripts/dutboot.ts", import.meta.url));
const directory = mkdtempSync(join(tmpdir(), "dutboot-pack-"));
afterAll(() => rmSync(directory, { recursive: true }));

function dutboot(...args: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [script, "pack", ...args], {
    encoding: "utf8",
  });
  return { status, stdout, stderr };
}

function makeTree(): string {
  const tree = join(directory, "tree");
  mkdirSync(join(tree, "bin"), { recursive: true });
  writeFileSync(join(tree, "bin/hello"), "#!/bin/sh\necho hello\n", { mode: 0o755 });
  writeFileSync(
    join(tree, "holes"),
    Buffer.concat([Buffer.from("a"), Buffer.alloc(300_000), Buffer.from("b")]),
  );
  writeFileSync(join(tree, `${"long-".repeat(40)}name`), "long");
  writeFileSync(join(tree, "ünï"), "u");
  execFileSync("ln", [join(tree, "bin/hello"), join(tree, "bin/hard")]);
  execFileSync("ln", ["-s", "hello", join(tree, "bin/soft")]);
  return tree;
}

const tree = makeTree();
const tars = (["pax", "gnu"] as const).map((format) => {
  const path = join(directory, `${format}.tar`);
  execFileSync("tar", ["--format", format, "-C", tree, "-cf", path, "."]);
  return path;
});

describe("dutboot pack", () => {
  test.each(tars)("%s is decompressed by the zstd program", (tar) => {
    const output = `${tar}.zst`;
    const result = dutboot(tar, output);
    expect(result).toMatchObject({ status: 0, stderr: "" });
    const content = readFileSync(tar);
    expect(result.stdout).toContain(`tar      sha256:${createHash("sha256").update(content).digest("hex")}`);
    expect(execFileSync("zstd", ["-dc", output], { maxBuffer: 2 ** 30 }).equals(content)).toBe(true);
    execFileSync("zstd", ["-tq", output]);
    const packed = readFileSync(output);
    expect(parseFooter(packed.subarray(-FOOTER_TAIL_BYTES), packed.length)).toBeDefined();
  });

  test("accepts gzip and zstd, and writes the same archive", () => {
    const content = readFileSync(tars[0]!);
    const plain = join(directory, "plain.zst");
    expect(dutboot(tars[0]!, plain).status).toBe(0);
    const inputs = { gz: gzipSync(content), zst: compress(content) };
    for (const [suffix, bytes] of Object.entries(inputs)) {
      const input = join(directory, `input.${suffix}`);
      const output = join(directory, `from-${suffix}.zst`);
      writeFileSync(input, bytes);
      expect(dutboot(input, output).status).toBe(0);
      expect(readFileSync(output).equals(readFileSync(plain))).toBe(true);
    }
    expect(dutboot("--level", "19", tars[0]!, join(directory, "small.zst")).status).toBe(0);
  });

  test("leaves nothing behind when the tar is bad", () => {
    const input = join(directory, "cut.tar");
    const output = join(directory, "cut.tar.zst");
    writeFileSync(input, readFileSync(tars[0]!).subarray(0, 2000));
    const result = dutboot(input, output);
    expect(result.status).toBe(202);
    expect(result.stderr).toContain("ARCHIVE_TRUNCATED");
    expect(existsSync(output) || existsSync(`${output}.partial`)).toBe(false);
  });

  test.each([
    ["nothing", []],
    ["one file", ["a.tar"]],
    ["a level that zstd has not", ["--level", "23", "a.tar", "b.tar.zst"]],
    ["a file that is not there", [join(directory, "missing.tar"), join(directory, "x.zst")]],
  ])("refuses %s", (_, args) => {
    expect(dutboot(...args)).toMatchObject({ status: 2, stdout: "" });
  });
});
