/**
 * Parses the mount flags of `podman create`: -v, --mount, --tmpfs, --device.
 * podman-create(1); all parsers throw ValueError.
 */
import { showValue } from "../../redaction/patterns.ts";
import type { ContainerSettings, Mount } from "../step.ts";
import { ValueError } from "./values.ts";

const VOLUME_NAME = /^[a-zA-Z0-9][\w.-]*$/;

/** Options of -v and tmpfs. Those for SELinux and podman itself have no effect on a DUT. */
const MOUNT_FLAGS = new Set(
  (
    "ro rw z Z U O exec noexec dev nodev suid nosuid bind rbind copy nocopy " +
    "shared rshared slave rslave private rprivate unbindable runbindable idmap tmpcopyup notmpcopyup"
  ).split(" "),
);
const MOUNT_VALUES = new Set(["size", "mode", "uid", "gid", "upperdir", "workdir"]);

/** `[SOURCE:]TARGET[:OPTION,…]` */
export function parseVolumeFlag(text: string): Mount {
  const parts = text.split(":");
  if (parts.length > 3) throw new ValueError(`has "${showValue(text)}" with more than two colons`);
  const [source, target, options] =
    parts.length === 1 ? [undefined, parts[0]!] : (parts as [string, string, string?]);
  return { ...parseSource(source), target: parseTarget(target), options: parseMountOptions(options) };
}

function parseSource(source: string | undefined): Pick<Mount, "kind" | "source"> {
  if (source === undefined) return { kind: "volume" };
  if (source.startsWith("/")) return { kind: "bind", source };
  if (VOLUME_NAME.test(source)) return { kind: "volume", source };
  throw new ValueError(
    `has the source "${showValue(source)}", which is not a volume's name or an absolute path`,
  );
}

function parseTarget(target: string): string {
  if (!target.startsWith("/"))
    throw new ValueError(`has the target "${showValue(target)}", which is not an absolute path`);
  return target;
}

function parseMountOptions(text: string | undefined): string[] {
  const options = (text ?? "").split(",").filter((option) => option !== "");
  for (const option of options) {
    const isKnown = MOUNT_FLAGS.has(option) || MOUNT_VALUES.has(option.split("=", 1)[0]!);
    if (!isKnown) throw new ValueError(`has the unknown mount option "${showValue(option)}"`);
  }
  return options;
}

/** `TARGET[:OPTION,…]` */
export function parseTmpfsFlag(text: string): Mount {
  const [target = "", options, ...rest] = text.split(":");
  if (rest.length > 0) throw new ValueError(`has "${showValue(text)}" with more than one colon`);
  return { kind: "tmpfs", target: parseTarget(target), options: parseMountOptions(options) };
}

const MOUNT_KEYS: Readonly<Record<string, "type" | "source" | "target" | "read-only" | "tmpfs">> = {
  type: "type",
  src: "source",
  source: "source",
  dst: "target",
  dest: "target",
  destination: "target",
  target: "target",
  ro: "read-only",
  readonly: "read-only",
  rw: "read-only",
  "tmpfs-size": "tmpfs",
  "tmpfs-mode": "tmpfs",
};

/** `type=bind|volume|tmpfs,source=…,target=…[,ro][,…]` */
export function parseMountFlag(text: string): Mount {
  const fields = new Map<string, string>();
  const options: string[] = [];
  for (const word of text.split(",")) {
    const [, name = "", value] = /^([^=]*)(?:=(.*))?$/s.exec(word) ?? [];
    const key = MOUNT_KEYS[name];
    if (key === "read-only") {
      const isOn = value === undefined || isTrue(value, name);
      options.push(isOn === (name !== "rw") ? "ro" : "rw");
    } else if (key === "tmpfs") options.push(`${name.slice("tmpfs-".length)}=${value ?? ""}`);
    else if (key) fields.set(key, value ?? "");
    else if (name === "bind-propagation" || name === "relabel")
      options.push(...(name === "relabel" ? [] : [value ?? ""]));
    else if (MOUNT_FLAGS.has(name))
      options.push(...(value === undefined || isTrue(value, name) ? [name] : []));
    else throw new ValueError(`has the unknown field "${showValue(name)}"`);
  }
  const kind = fields.get("type") ?? "volume";
  if (kind !== "bind" && kind !== "volume" && kind !== "tmpfs") {
    throw new ValueError(`has the type "${showValue(kind)}", which is not bind, volume or tmpfs`);
  }
  const source = fields.get("source");
  if (kind === "bind" && !source?.startsWith("/"))
    throw new ValueError("has a bind mount whose source is not an absolute path");
  if (kind === "volume" && source !== undefined && !VOLUME_NAME.test(source)) {
    throw new ValueError(`has the volume name "${showValue(source)}"`);
  }
  return { kind, source, target: parseTarget(fields.get("target") ?? ""), options };
}

export function isTrue(text: string, what: string): boolean {
  if (/^(true|t|1)$/i.test(text)) return true;
  if (/^(false|f|0)$/i.test(text)) return false;
  throw new ValueError(`has "${what}=${showValue(text)}", which is neither true nor false`);
}

/** `DEVICE[:TARGET][:rwm]` */
export function parseDeviceFlag(text: string): NonNullable<ContainerSettings["devices"]>[number] {
  const [source = "", ...others] = text.split(":");
  const permissions = /^[rwm]{1,3}$/.test(others.at(-1) ?? "") ? others.pop()! : "rwm";
  const [target = source, ...rest] = others;
  if (!source.startsWith("/") || !target.startsWith("/") || rest.length > 0) {
    throw new ValueError(`has the device "${showValue(text)}", which is not /dev/NAME[:/dev/NAME][:rwm]`);
  }
  return { source, target, permissions };
}
