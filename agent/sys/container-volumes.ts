/**
 * Readies directories that a container gets, as podman does with volumes: an empty one takes over what the image has at
 * its place, and one that is asked to be the user's becomes so.
 */
import { closeSync, lchownSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { VOLUME_COPY_MS } from "../limits.ts";
import { openDirectory } from "./container-root.ts";
import { runTool } from "./run-tool.ts";

export async function prepareVolumes(
  mounts: readonly { from: string; to: string; options: readonly string[] }[],
  rootPath: string,
  { uid, gid }: { uid: number; gid: number },
): Promise<void> {
  for (const { from, to, options } of mounts) {
    if (options.includes("copy") && readdirSync(from).length === 0) await copyFromRoot(rootPath, to, from);
    if (options.includes("U")) changeOwner(from, uid, gid);
  }
}

async function copyFromRoot(rootPath: string, place: string, target: string): Promise<void> {
  const fd = openDirectory(rootPath, place);
  if (fd === undefined) return;
  try {
    // By the descriptor, since the path may lead through symlinks of the image.
    await runTool(["cp", "-a", `/proc/${process.pid}/fd/${fd}/.`, target], { timeoutMs: VOLUME_COPY_MS });
  } finally {
    closeSync(fd);
  }
}

function changeOwner(path: string, uid: number, gid: number): void {
  lchownSync(path, uid, gid);
  for (const entry of readdirSync(path, { withFileTypes: true })) {
    const child = join(path, entry.name);
    if (entry.isDirectory()) changeOwner(child, uid, gid);
    else lchownSync(child, uid, gid);
  }
}
