/**
 * A disk to pull to: an ext4 file system in a file, made anew for each pull. On one that lives on, thousands of files
 * deleted a moment ago slow down whoever comes next (ext4 does not give out their inodes for minutes), and others' writes
 * are in everybody's sync.
 */
import { mkdir } from "node:fs/promises";
import { runProcess } from "../../qemu/run-process.ts";

const DISK_BYTES = 6 * 1024 ** 3;

export interface ScratchDisk {
  /** Gives the folder where the empty file system is. */
  mountFresh(): Promise<string>;
  unmount(): Promise<void>;
}

/** To be used in a mount namespace of one's own: the mount and its loop device then end with the last process in it. */
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
      // Nothing of its making is left for later, when it would be somebody's time.
      await runProcess([
        ...["mkfs.ext4", "-q", "-F", "-E", "nodiscard,lazy_itable_init=1,lazy_journal_init=1"],
        image,
      ]);
      const loop = await runProcess(["losetup", "--find", "--show", "--direct-io=on", image]);
      try {
        await runProcess(["mount", "-o", "noinit_itable", loop.trim(), place]);
        isMounted = true;
      } finally {
        // It goes with the mount.
        await runProcess(["losetup", "--detach", loop.trim()]);
      }
      return place;
    },
    unmount,
  };
}
