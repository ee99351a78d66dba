/**
 * Mounts what a job calls a file system: an NFS export by the kernel alone, everything else (disks, CIFS) by busybox's mount,
 * which knows the flags among the options and tries the types that the kernel has.
 */
import { mkdirSync } from "node:fs";
import { AgentError } from "../../errors.ts";
import type { FileSystem } from "../../job/volume.ts";
import { FILE_SYSTEM_MOUNT_MS } from "../limits.ts";
import type { ModuleLoader } from "../machine/modules.ts";
import { mountNfs, type NfsMountOptions } from "../nfs/mount.ts";
import { runTool } from "../run-tool.ts";

export interface FileSystemOptions extends Omit<NfsMountOptions, "isWritable"> {
  loadModule: ModuleLoader["load"];
  busybox?: string;
}

/** `target` is made when it is not there. Throws FILE_SYSTEM_MOUNT_FAILED and NFS_… */
export async function mountFileSystem(
  { name, source, type, options: words }: FileSystem,
  target: string,
  options: FileSystemOptions,
): Promise<void> {
  const { busybox = "busybox", log, loadModule } = options;
  mkdirSync(target, { recursive: true, mode: 0o755 });
  const place = parseExport(source);
  // As mount(8): `host:/path` can be nothing else.
  if (place && (type === undefined || /^nfs4?$/.test(type))) {
    const version = type === "nfs4" ? { version: "4" } : {};
    const rest = words.filter((word) => word !== "ro" && word !== "rw");
    await mountNfs({ ...place, ...version, options: rest }, target, {
      ...options,
      isWritable: !words.includes("ro"),
    });
    return;
  }
  if (type !== undefined) await loadModule(type);
  const argv: [string, ...string[]] = [busybox, "mount"];
  if (type !== undefined) argv.push("-t", type);
  if (words.length > 0) argv.push("-o", words.join(","));
  try {
    await runTool([...argv, source, target], { timeoutMs: FILE_SYSTEM_MOUNT_MS });
  } catch (cause) {
    // The tool's message repeats its words, and a password may be among the options.
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
