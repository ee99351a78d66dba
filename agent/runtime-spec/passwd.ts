/**
 * Resolves an image's user ("name", "uid", "name:group", "uid:gid") by the image's own passwd and group files.
 * passwd(5), group(5); numbers win over names, and a number needs no entry, as with Docker and podman.
 */
import { AgentError } from "../errors.ts";

export interface ContainerUser {
  uid: number;
  gid: number;
  /** Groups that list the user as a member; none when the image names the group itself. */
  additionalGids: number[];
  home: string;
}

export interface UserFiles {
  /** Text of the image's /etc/passwd; absent where it has none. */
  passwd?: string;
  /** Text of the image's /etc/group. */
  group?: string;
}

/** Throws IMAGE_UNKNOWN_USER. */
export function resolveUser(user: string, { passwd = "", group = "" }: UserFiles): ContainerUser {
  const [userPart = "", groupPart] = splitOnce(user || "0", ":");
  const users = readLines(passwd, 7);
  const groups = readLines(group, 4);

  const number = parseId(userPart);
  const entry = users.find((fields) =>
    number === undefined ? fields[0] === userPart : parseId(fields[2]!) === number,
  );
  const uid = number ?? (entry && parseId(entry[2]!));
  if (uid === undefined) throw unknown("user", userPart, "/etc/passwd");
  const home = entry?.[5] || (uid === 0 ? "/root" : "/");

  if (groupPart !== undefined) return { uid, gid: resolveGroup(groupPart, groups), additionalGids: [], home };
  const name = entry?.[0];
  const additionalGids = groups
    .filter((fields) => name !== undefined && fields[3]!.split(",").includes(name))
    .map((fields) => parseId(fields[2]!))
    .filter((gid) => gid !== undefined);
  return { uid, gid: (entry && parseId(entry[3]!)) ?? 0, additionalGids, home };
}

/** Ids of groups by name or number; `keep-groups` means the agent's own, which has none. Throws IMAGE_UNKNOWN_USER. */
export function resolveGroups(names: readonly string[], { group = "" }: UserFiles): number[] {
  const groups = readLines(group, 4);
  return [
    ...new Set(names.filter((name) => name !== "keep-groups").map((name) => resolveGroup(name, groups))),
  ];
}

function resolveGroup(text: string, groups: string[][]): number {
  const gid = parseId(text) ?? parseId(groups.find((fields) => fields[0] === text)?.[2] ?? "");
  if (gid === undefined) throw unknown("group", text, "/etc/group");
  return gid;
}

function unknown(what: string, name: string, file: string): AgentError {
  return new AgentError(
    "IMAGE_UNKNOWN_USER",
    `Cannot run as ${what} "${name}": the image's ${file} has no such ${what}`,
  );
}

/** Lines with fewer fields than the format has are skipped, as the C library does. */
function readLines(text: string, fieldCount: number): string[][] {
  return text
    .split("\n")
    .map((line) => line.split(":"))
    .filter((fields) => fields.length >= fieldCount);
}

/** (uid_t)-1 means "leave it" to the kernel, so it is no id. */
function parseId(text: string): number | undefined {
  if (!/^\d{1,10}$/.test(text)) return undefined;
  const id = Number(text);
  return id < 0xffffffff ? id : undefined;
}

function splitOnce(text: string, separator: string): [string, string?] {
  const at = text.indexOf(separator);
  return at === -1 ? [text] : [text.slice(0, at), text.slice(at + 1)];
}
