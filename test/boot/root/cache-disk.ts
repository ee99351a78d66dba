/** Creates and inspects cache disks on the host with e2fsprogs, without mounting them. */
import { open, truncate, writeFile } from "node:fs/promises";
import type { ToolsRoot } from "../../../qemu/tools-root.ts";

const MiB = 1024 * 1024;
const DISK_BYTES = 256 * MiB;

/** Creates a sparse raw disk; with `features`, an ext4 with our label. */
export async function createDisk(
  tools: ToolsRoot,
  path: string,
  { features }: { features?: string } = {},
): Promise<void> {
  await writeFile(path, "", { flag: "wx" });
  await truncate(path, DISK_BYTES);
  if (features === undefined) return;
  await tools.run("mkfs.ext4", ["-q", "-F", "-b", "4096", "-O", features, "-L", "DUTBOOT_CACHE", path]);
}

/** Runs fsck without repairs; throws if the file system is not clean. */
export async function checkDisk(tools: ToolsRoot, path: string): Promise<void> {
  await tools.run("e2fsck", ["-f", "-n", path]);
}

export async function readUuid(tools: ToolsRoot, path: string): Promise<string> {
  const text = await tools.run("dumpe2fs", ["-h", path]);
  return /^Filesystem UUID:\s+(\S+)$/m.exec(text)![1]!;
}

/** Lists a folder of the disk. */
export async function listFolder(tools: ToolsRoot, path: string, folder: string): Promise<string[]> {
  const lines = (await tools.run("debugfs", ["-R", `ls -p ${folder}`, path])).trim().split("\n");
  return lines
    .map((line) => line.split("/")[5] ?? "")
    .filter((name) => name !== "" && name !== "." && name !== "..");
}

/** Inverts a byte in the first block of a file, below the file system, as a failing disk would. */
export async function rotFile(tools: ToolsRoot, path: string, file: string): Promise<void> {
  const stats = await tools.run("dumpe2fs", ["-h", path]);
  const blockBytes = Number(/^Block size:\s+(\d+)$/m.exec(stats)![1]);
  const blocks = await tools.run("debugfs", ["-R", `blocks ${file}`, path]);
  const firstBlock = Number(/^\d+/.exec(blocks.trim())?.[0]);
  if (!firstBlock) throw new Error(`Cannot find "${file}" on the disk: ${blocks}`);
  const disk = await open(path, "r+");
  try {
    const byte = Buffer.alloc(1);
    await disk.read(byte, 0, 1, firstBlock * blockBytes);
    byte[0] = byte[0]! ^ 0xff;
    await disk.write(byte, 0, 1, firstBlock * blockBytes);
  } finally {
    await disk.close();
  }
}
