/** Makes the disk image that a power cut leaves: a sparse copy of the disk as it was, with the plan's writes on it. */
import { open } from "node:fs/promises";
import { runProcess } from "../run-process.ts";
import type { CutPlan } from "./plan-cut.ts";

export async function writeCutDisk(base: string, { writes }: CutPlan, target: string): Promise<void> {
  await runProcess(["cp", "--sparse=always", "--reflink=auto", base, target]);
  const disk = await open(target, "r+");
  try {
    for (const { offsetBytes, bytes } of writes) await disk.write(bytes, 0, bytes.length, offsetBytes);
  } finally {
    await disk.close();
  }
}
