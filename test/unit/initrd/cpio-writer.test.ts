import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { type CpioEntry, formatCpio } from "../../../initrd/cpio-writer.ts";

/** Read right by busybox 1.37 (`cpio -itv`) when it was made; the kernel reads what the boot tests build. */
const GOLDEN = new URL("../../golden/initrd/tree.cpio.hex", import.meta.url);
const TREE: readonly CpioEntry[] = [
  { path: "dev", type: "directory" },
  { path: "dev/console", type: "char", mode: 0o600, device: { major: 5, minor: 1 } },
  { path: "empty", type: "file" },
  { path: "init", type: "file", mode: 0o755, content: Buffer.from("#!/bin/sh\n"), mtimeSec: 1_700_000_000 },
  { path: "lib", type: "symlink", linkPath: "usr/lib" },
  { path: "ümläut", type: "file", content: Buffer.from("three") },
];

describe("cpio archives", () => {
  it("match the golden archive", () => {
    const hex = readFileSync(GOLDEN, "utf8").replace(/\s/g, "");
    expect(formatCpio(TREE).toString("hex")).toBe(hex);
  });

  it("are reproducible", () => {
    const hash = () => createHash("sha256").update(formatCpio(TREE)).digest("hex");
    expect(hash()).toBe(hash());
  });

  it("start every header at a multiple of four bytes", () => {
    const archive = formatCpio(TREE);
    const starts: number[] = [];
    for (let at = archive.indexOf("070701"); at >= 0; at = archive.indexOf("070701", at + 1)) starts.push(at);
    expect(starts).toHaveLength(TREE.length + 1);
    expect(starts.filter((at) => at % 4 !== 0)).toEqual([]);
    expect(archive.length % 4).toBe(0);
  });

  it.each([
    { name: "an absolute path", entries: [{ path: "/init", type: "file" }] },
    { name: "a path that climbs", entries: [{ path: "a/../../b", type: "file" }] },
    { name: "a trailing slash", entries: [{ path: "dev/", type: "directory" }] },
    { name: "an empty path", entries: [{ path: "", type: "file" }] },
    { name: "a NUL", entries: [{ path: "a\0b", type: "file" }] },
    {
      name: "a path twice",
      entries: [
        { path: "a", type: "file" },
        { path: "a", type: "file" },
      ],
    },
    { name: "a time before 1970", entries: [{ path: "a", type: "file", mtimeSec: -1 }] },
    { name: "a time after 2106", entries: [{ path: "a", type: "file", mtimeSec: 2 ** 32 }] },
  ] satisfies { name: string; entries: CpioEntry[] }[])("refuse $name", ({ entries }) => {
    expect(() => formatCpio(entries)).toThrow(RangeError);
  });
});
