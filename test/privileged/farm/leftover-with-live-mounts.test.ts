/**
 * A maker of a root that was killed may leave a live /sys in it: removing what it left must not go through the mount.
 * Seen with mmdebstrap 1.3.5 in root mode, whose mounts now have a namespace of their own as well.
 */
import { execFileSync } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { removeTree } from "../../../qemu/cache-entry.ts";

test("a mount below a deleted folder is kept and reported", async () => {
  const folder = await mkdtemp(join(tmpdir(), "dutboot-leftover-"));
  const live = join(folder, "root/sys");
  await mkdir(live, { recursive: true });
  execFileSync("mount", ["-t", "tmpfs", "tmpfs", live]);
  try {
    await writeFile(join(live, "alive"), "still here");
    await expect(removeTree(folder)).rejects.toThrow(/different device/);
    expect(await readFile(join(live, "alive"), "utf8")).toBe("still here");
  } finally {
    execFileSync("umount", [live]);
  }
  await removeTree(folder);
  await expect(rm(folder)).rejects.toThrow(/ENOENT/);
});
