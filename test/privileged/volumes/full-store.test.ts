/**
 * A pull into a volume on a file system that is too small.
 */
import { mkdirSync, readdirSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { mount, umount } from "../../../agent/kernel/syscalls.ts";
import { folder, startJob } from "../../integration/volumes/mirrored-job.ts";

function resolveDescriptor(fd: string): string {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`);
  } catch {
    return ""; // the listing's own
  }
}

/** In the volume. */
const listOpenFiles = () =>
  readdirSync("/proc/self/fd")
    .map((fd) => resolveDescriptor(fd))
    .filter((path) => path.startsWith(full()));

const full = () => join(folder, "full");

afterEach(() => umount(full(), { lazy: true }));

test("reports a pull that fills the store, and leaves no incomplete file and no descriptor", async () => {
  mkdirSync(full());
  mount({ source: "full", target: full(), type: "tmpfs", data: "size=1m" });
  const first = await startJob({});
  await first.put("small", "kept");
  for (const name of ["large-1", "large-2", "large-3"]) await first.put(name, Buffer.alloc(2_000_000, name));
  const job = await startJob({ pull: ["pipeline_start"], from: { ...first, volumesDir: full() } });
  const before = listOpenFiles();

  await expect(job.run("pipeline_start")).rejects.toMatchObject({
    code: "VOLUME_NO_SPACE",
    blame: "job",
    message: expect.stringMatching(
      /^Cannot pull volume "v" from "farm\/.*": no space left in the volume \(ENOSPC: .*write\)$/,
    ),
  });

  expect(readdirSync(job.data).filter((name) => name !== "small")).toEqual([]);
  expect(listOpenFiles()).toEqual(before);
});
