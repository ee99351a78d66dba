/** Checks the store on a disk image without mounting it: each object must match its name. */
import { mkdir, readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { computeFsVerityDigest } from "../../../agent/composefs/fsverity.ts";
import type { ToolsRoot } from "../../../qemu/tools-root.ts";

/** Returns one sentence per wrong object; a store without objects is an error too. */
export async function findWrongObjects(tools: ToolsRoot, disk: string, folder: string): Promise<string[]> {
  await mkdir(folder);
  try {
    await tools.run("debugfs", ["-R", `rdump /dutboot-store-1/objects ${folder}`, disk]);
    const entries = await readdir(folder, { recursive: true, withFileTypes: true });
    const objects = entries.filter((entry) => entry.isFile());
    if (objects.length === 0) return ["the store holds no objects"];
    const wrong = await Promise.all(
      objects.map(async ({ parentPath, name }) => {
        const expected = parentPath.slice(-2) + name;
        const digest = computeFsVerityDigest(await readFile(join(parentPath, name))).toString("hex");
        return digest === expected ? [] : [`object ${expected} has the digest ${digest}`];
      }),
    );
    return wrong.flat();
  } finally {
    await rm(folder, { recursive: true });
  }
}
