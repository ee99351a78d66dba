/**
 * Makes directories that a container gets its user's own, where the job asks for that (podman's mount option `U`).
 */
import { lchownSync, readdirSync } from "node:fs";
import { join } from "node:path";

/** The tree at `path`, symlinks themselves included. */
export function chownTree(path: string, owner: { uid: number; gid: number }): void {
  lchownSync(path, owner.uid, owner.gid);
  for (const entry of readdirSync(path, { withFileTypes: true })) {
    const child = join(path, entry.name);
    if (entry.isDirectory()) chownTree(child, owner);
    else lchownSync(child, owner.uid, owner.gid);
  }
}
