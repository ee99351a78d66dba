/**
 * Mounts the file systems that a job defines: NFS exports by mount(2), all others (disks, CIFS) by busybox's mount, which splits
 * flags from options and tries the kernel's types.
 */
import { mkdirSync, statfsSync } from "node:fs";
import { AgentError } from "../../errors.ts";
import type { FileSystem } from "../../job/volume.ts";
import { FILE_SYSTEM_MOUNT_MS, FULL_BELOW_BYTES } from "../limits.ts";
import type { ModuleLoader } from "../machine/modules.ts";
import { mountNfs, type NfsMountOptions } from "../nfs/mount.ts";
import { runTool } from "../run-tool.ts";

export interface FileSystemOptions extends Omit<NfsMountOptions, "isWritable"> {
  loadModule: ModuleLoader["load"];
  busybox?: string;
}

/** True when almost nothing can be written any more, which may be why a test failed. */
export function isFull(path: string): boolean {
  const { bsize, bavail } = statfsSync(path);
  return bsize * bavail < FULL_BELOW_BYTES;
}

/** Creates `target` where it is missing. Throws FILE_SYSTEM_MOUNT_FAILED and NFS_… */
export async function mountFileSystem(
  { name, source, type, options: mountOptions }: FileSystem,
  target: string,
  options: FileSystemOptions,
): Promise<void> {
  const { busybox = "busybox", log, loadModule } = options;
  mkdirSync(target, { recursive: true, mode: 0o755 });
  const location = parseExport(source);
  // `host:/path` is NFS, as for mount(8).
  if (location && (type === undefined || /^nfs4?$/.test(type))) {
    const version = type === "nfs4" ? { version: "4" } : {};
    const rest = mountOptions.filter((word) => word !== "ro" && word !== "rw");
    await mountNfs({ ...location, ...version, options: rest }, target, {
      ...options,
      isWritable: !mountOptions.includes("ro"),
    });
    return;
  }
  if (type !== undefined) await loadModule(type);
  const argv: [string, ...string[]] = [busybox, "mount"];
  if (type !== undefined) argv.push("-t", type);
  if (mountOptions.length > 0) argv.push("-o", mountOptions.join(","));
  try {
    await runTool([...argv, source, target], { timeoutMs: FILE_SYSTEM_MOUNT_MS });
  } catch (cause) {
    // The tool's message repeats its arguments, and a password may be among the options.
    const answer = (cause as Error).message.split(": ").at(-1);
    throw new AgentError(
      "FILE_SYSTEM_MOUNT_FAILED",
      `Cannot mount "${source}" as the file system "${name}": ${answer}`,
    );
  }
  log.info(`machine: file system ${name} is ${source}`);
}

function parseExport(source: string): { server: string; path: string } | undefined {
  const [, server, path] = /^(\[[0-9a-fA-F:.]+\]|[^/:]+):(\/.*)$/.exec(source) ?? [];
  return server !== undefined && path !== undefined ? { server, path } : undefined;
}
