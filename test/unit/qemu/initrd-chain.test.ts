import { execFileSync } from "node:child_process";
import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { formatJoinCommand, joinInitrds } from "../../../qemu/initrd-chain.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "dutboot-chain-"));
});
afterAll(() => rm(folder, { recursive: true }));

describe("joinInitrds", () => {
  it("starts each archive at a multiple of four bytes, also as a shell command", async () => {
    const texts = ["12345", "12345678", "1", ""];
    const paths = await Promise.all(
      texts.map(async (text, index) => {
        const path = join(folder, `it's ${index}`);
        await writeFile(path, text);
        return path;
      }),
    );
    const joined = join(folder, "joined");
    const chain = await joinInitrds(paths, joined);
    const bytes = await readFile(joined);
    expect(bytes.toString()).toBe(["12345", "\0\0\0", "12345678", "1", "\0\0\0"].join(""));
    expect((await stat(joined)).mode & 0o777).toBe(0o600);
    execFileSync("sh", ["-c", formatJoinCommand(chain, join(folder, "by shell"))]);
    expect(await readFile(join(folder, "by shell"))).toEqual(bytes);
  });
});
