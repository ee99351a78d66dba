/**
 * A disk to pull to: an ext4 file system in a file, made anew for each pull. On a file system that is used again, thousands of files
 * deleted a moment ago slow down the next pull (ext4 does not reuse their inodes for minutes), and other writes
 * become part of its sync.
 */
import { mkdir } from "node:fs/promises";
import { runProcess } from "../../qemu/run-process.ts";

const DISK_BYTES = 6 * 1024 ** 3;

export interface ScratchDisk {
  /** Returns the folder of the empty file system. */
  mountFresh(): Promise<string>;
  unmount(): Promise<void>;
}

/** For a private mount namespace: the mount and its loop device end with its last process. */
export async function createScratchDisk(folder: string): Promise<ScratchDisk> {
  await mkdir(folder, { recursive: true });
  const image = `${folder}/disk.img`;
  const place = `${folder}/disk`;
  await mkdir(place);
  await runProcess(["fallocate", "--length", String(DISK_BYTES), image]);
  let isMounted = false;
  const unmount = async () => {
    if (!isMounted) return;
    await runProcess(["umount", place]);
    isMounted = false;
  };
  return {
    async mountFresh() {
      await unmount();
      // Writes of mkfs must not fall into a measured pull.
      await runProcess([
        ...["mkfs.ext4", "-q", "-F", "-E", "nodiscard,lazy_itable_init=1,lazy_journal_init=1"],
        image,
      ]);
      const loop = await runProcess(["losetup", "--find", "--show", "--direct-io=on", image]);
      try {
        await runProcess(["mount", "-o", "noinit_itable", loop.trim(), place]);
        isMounted = true;
      } finally {
        // The loop device is released with the mount.
        await runProcess(["losetup", "--detach", loop.trim()]);
      }
      return place;
    },
    unmount,
  };
}
