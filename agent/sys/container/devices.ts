/**
 * Looks up the device nodes for a container: a node, or all nodes in a directory such as /dev/dri.
 */
import { constants, lstatSync, readdirSync, type Stats, statSync } from "node:fs";
import { join } from "node:path";
import { AgentError } from "../../errors.ts";
import type { ContainerSettings } from "../../job/step.ts";
import type { DeviceNode } from "../../runtime-spec/resources.ts";

type DeviceRequest = NonNullable<ContainerSettings["devices"]>[number];

/** Throws RUN_NO_FILE for a missing path, RUN_BAD_SETTING for one that is not a device. */
export function readDevices(requests: readonly DeviceRequest[]): DeviceNode[] {
  return requests.flatMap((request) => {
    let status: Stats;
    try {
      status = statSync(request.source);
    } catch (cause) {
      const { code } = cause as NodeJS.ErrnoException;
      throw new AgentError("RUN_NO_FILE", `Cannot add device "${request.source}" to the container: ${code}`, {
        cause,
      });
    }
    if (!status.isDirectory()) return [describeNode(request, status)];
    return readdirSync(request.source, { recursive: true, encoding: "utf8" }).flatMap((name) => {
      const source = join(request.source, name);
      const found = lstatSync(source);
      const isDevice = found.isCharacterDevice() || found.isBlockDevice();
      return isDevice
        ? [describeNode({ ...request, source, target: join(request.target, name) }, found)]
        : [];
    });
  });
}

function describeNode({ source, target, permissions }: DeviceRequest, status: Stats): DeviceNode {
  const { rdev, mode, uid, gid } = status;
  if (!status.isCharacterDevice() && !status.isBlockDevice()) {
    throw new AgentError(
      "RUN_BAD_SETTING",
      `Cannot add device "${source}" to the container: it is not a device node`,
    );
  }
  return {
    source,
    path: target,
    type: (mode & constants.S_IFMT) === constants.S_IFBLK ? "b" : "c",
    // The C library's encoding of the kernel's 12 bits of major and 20 bits of minor.
    major: (rdev >>> 8) & 0xfff,
    minor: (rdev & 0xff) | ((rdev >>> 12) & 0xfff00),
    fileMode: mode & 0o777,
    uid,
    gid,
    access: permissions,
  };
}
