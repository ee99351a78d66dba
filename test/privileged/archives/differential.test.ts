/**
 * The same archive read by us, in every way, by GNU tar and by podman: one tree to the byte, with owners, modes, times, links and
 * attributes. Archives are those of GNU tar, bsdtar, busybox and Python, and odd ones made by hand.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { mount, umount } from "../../../agent/kernel/syscalls.ts";
import { ensureToolsRoot } from "../../../qemu/tools-root.ts";
import { createScratch, type Scratch } from "../root/scratch.ts";
import { ODD_ARCHIVES } from "./odd-archives.ts";
import { type Answer, unpackEveryWay } from "./our-paths.ts";
import { REFUSED, unpackWithGnuTar, unpackWithPodman } from "./readers.ts";
import { writeArchives } from "./writers.ts";

let scratch: Scratch;
let directory: string;
let podman: Map<string, Answer>;
const ARCHIVES = writeArchives();
const ODD = Object.entries(ODD_ARCHIVES).map(([name, archive]) => ({ name, ...archive }));

beforeAll(async () => {
  scratch = createScratch("size=2g,mode=0755");
  directory = mkdtempSync(join(tmpdir(), "dutboot-podman-"));
  mount({ type: "tmpfs", source: "podman", target: directory, data: "size=3g,mode=0755" });
  const tools = await ensureToolsRoot({ log: () => {} });
  podman = await unpackWithPodman([...ARCHIVES, ...ODD], directory, tools);
}, 600_000);
afterAll(() => {
  scratch.close();
  umount(directory, { lazy: true });
  rmSync(directory, { recursive: true });
});

/** By every way of ours. The layers must agree, and the artifacts, in which symlinks are kept and lead through the whole root. */
async function unpack(tar: Buffer): Promise<{ layer: Answer; artifact: Answer }> {
  const answers = await unpackEveryWay(tar, scratch);
  const [layer, artifact] = [answers.overlay!, answers["overlay, artifact"]!];
  expect(answers.composefs, "composefs").toEqual(layer);
  expect(answers["in parts"], "in parts").toEqual(layer);
  const isNew = Array.isArray(artifact) && !/ mtime=3000000000$/.test(artifact[0]!);
  const skipTime = (answer: Answer | undefined) => (isNew ? answer?.slice(1) : answer);
  expect(skipTime(answers["composefs, artifact"]), "artifact with composefs").toEqual(skipTime(artifact));
  return { layer, artifact };
}

/** podman sets times before 1970 and after 2262 to 1970, and makes a directory for the name of a global header. */
const asPodman = (lines: string[]) => lines.map((line) => line.replace(/mtime=(-\d+|\d{20,})/, "mtime=0"));
const fromPodman = (lines: Answer | undefined) =>
  Array.isArray(lines) ? lines.filter((line) => !/^\/(tmp|PaxHeader) dir/.test(line)) : lines;
/** GNU tar forgets the time of a directory into which bsdtar's order of members makes it write again. */
const asGnuTar = (name: string, lines: Answer) =>
  Array.isArray(lines) && /bsdtar.*rich/.test(name)
    ? lines.map((line) => line.replace(/^(\/long\S* dir .*) mtime=\S+/, "$1"))
    : lines;

describe.each(ARCHIVES)("$name", ({ name, tar, isRefusedByPodman }) => {
  it("is one tree for us, GNU tar and podman", async () => {
    const { layer: ours, artifact } = await unpack(tar);
    expect(artifact).toEqual(ours);
    expect(asGnuTar(name, unpackWithGnuTar(tar, join(scratch.path, "gnu")))).toEqual(asGnuTar(name, ours));
    const expected = isRefusedByPodman ? REFUSED : asPodman((ours as string[]).slice(1));
    expect(fromPodman(podman.get(name)), "podman").toEqual(expected);
  });
});

describe.each(ODD)("$name", ({ name, tar, refused, unlikePodman }) => {
  it(unlikePodman ?? "is the same for podman", async () => {
    const { layer: ours } = await unpack(tar);
    if (refused !== undefined) expect(ours).toBe(refused);
    else expect(ours).toBeInstanceOf(Array);
    const expected = refused === undefined ? (ours as string[]).slice(1) : REFUSED;
    const theirs = fromPodman(podman.get(name));
    if (unlikePodman === undefined) expect(theirs).toEqual(expected);
    else expect(theirs).not.toEqual(expected);
  });
});
