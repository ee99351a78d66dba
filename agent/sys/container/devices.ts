/**
 * Looks up the device nodes that a container shall have: a node, or every node in a directory such as /dev/dri.
 */
import { constants, lstatSync, readdirSync, type Stats, statSync } from "node:fs";
import { join } from "node:path";
import { AgentError } from "../../errors.ts";
import type { ContainerSettings } from "../../job/step.ts";
import type { DeviceNode } from "../../runtime-spec/resources.ts";

type DeviceWish = NonNullable<ContainerSettings["devices"]>[number];

/** Throws RUN_NO_FILE for a path that is not there, RUN_BAD_SETTING for one that is no device. */
export function readDevices(wishes: readonly DeviceWish[]): DeviceNode[] {
  return wishes.flatMap((wish) => {
    let status: Stats;
    try {
      status = statSync(wish.source);
    } catch (cause) {
      const { code } = cause as NodeJS.ErrnoException;
      throw new AgentError("RUN_NO_FILE", `Cannot give the device "${wish.source}": ${code}`, { cause });
    }
    if (!status.isDirectory()) return [describeNode(wish, status)];
    return readdirSync(wish.source, { recursive: true, encoding: "utf8" }).flatMap((name) => {
      const source = join(wish.source, name);
      const found = lstatSync(source);
      const isDevice = found.isCharacterDevice() || found.isBlockDevice();
      return isDevice ? [describeNode({ ...wish, source, target: join(wish.target, name) }, found)] : [];
    });
  });
}

function describeNode({ source, target, permissions }: DeviceWish, status: Stats): DeviceNode {
  const { rdev, mode, uid, gid } = status;
  if (!status.isCharacterDevice() && !status.isBlockDevice()) {
    throw new AgentError("RUN_BAD_SETTING", `Cannot give the device "${source}": it is no device node`);
  }
  return {
    source,
    path: target,
    type: (mode & constants.S_IFMT) === constants.S_IFBLK ? "b" : "c",
    // The C library's form of a device number; twelve bits of major and twenty of minor are all the kernel has.
    major: (rdev >>> 8) & 0xfff,
    minor: (rdev & 0xff) | ((rdev >>> 12) & 0xfff00),
    fileMode: mode & 0o777,
    uid,
    gid,
    access: permissions,
  };
}
