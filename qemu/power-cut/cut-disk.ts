/** Creates the disk image after a power cut: a sparse copy of the initial disk with the plan's writes. */
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
