/**
 * Resolves a user ("name", "uid", "name:group", "uid:gid") with the image's passwd and group files.
 * passwd(5), group(5); as in Docker and podman, numbers take precedence over names and need no entry.
 */
import { AgentError } from "../errors.ts";

export interface ContainerUser {
  uid: number;
  gid: number;
  /** Groups that list the user as a member; empty if the group is given. */
  additionalGids: number[];
  home: string;
}

export interface UserFiles {
  /** The text of /etc/passwd. */
  passwd?: string;
  /** The text of /etc/group. */
  group?: string;
}

/** Throws IMAGE_UNKNOWN_USER. */
export function resolveUser(user: string, { passwd = "", group = "" }: UserFiles): ContainerUser {
  const [, userPart = "", groupPart] = /^([^:]*)(?::(.*))?$/s.exec(user || "0") ?? [];
  const users = readLines(passwd, 7);
  const groups = readLines(group, 4);

  const number = parseId(userPart);
  const entry = users.find((fields) =>
    number === undefined ? fields[0] === userPart : parseId(fields[2]!) === number,
  );
  const uid = number ?? (entry && parseId(entry[2]!));
  if (uid === undefined) throw createUnknownError("user", userPart, "/etc/passwd");
  const home = entry?.[5] || (uid === 0 ? "/root" : "/");

  if (groupPart !== undefined) return { uid, gid: resolveGroup(groupPart, groups), additionalGids: [], home };
  const name = entry?.[0];
  const additionalGids = groups
    .filter((fields) => name !== undefined && fields[3]!.split(",").includes(name))
    .map((fields) => parseId(fields[2]!))
    .filter((gid) => gid !== undefined);
  return { uid, gid: (entry && parseId(entry[3]!)) ?? 0, additionalGids, home };
}

/**
 * The image's passwd with an entry for a user that is a number and has none, so that programs find a name, as podman adds it; undefined
 * where none is needed. `home`: the working directory.
 */
export function addPasswdEntry(user: string, files: UserFiles, home: string): string | undefined {
  const { passwd } = files;
  if (passwd === undefined) return undefined;
  const { uid, gid } = resolveUser(user, files);
  if (readLines(passwd, 7).some((fields) => parseId(fields[2]!) === uid)) return undefined;
  const end = passwd === "" || passwd.endsWith("\n") ? "" : "\n";
  return `${passwd}${end}${uid}:*:${uid}:${gid}:container user:${home.replaceAll(/[:\n]/g, "_")}:/bin/sh\n`;
}

/** Throws IMAGE_UNKNOWN_USER. `keep-groups` adds nothing: the agent has no additional groups. */
export function resolveGroups(names: readonly string[], { group = "" }: UserFiles): number[] {
  const groups = readLines(group, 4);
  const given = names.filter((name) => name !== "keep-groups");
  return [...new Set(given.map((name) => resolveGroup(name, groups)))];
}

function resolveGroup(text: string, groups: string[][]): number {
  const gid = parseId(text) ?? parseId(groups.find((fields) => fields[0] === text)?.[2] ?? "");
  if (gid === undefined) throw createUnknownError("group", text, "/etc/group");
  return gid;
}

function createUnknownError(what: string, name: string, file: string): AgentError {
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

/** (uid_t)-1 means "unchanged" to the kernel, so it is not an id. */
function parseId(text: string): number | undefined {
  if (!/^\d{1,10}$/.test(text)) return undefined;
  const id = Number(text);
  return id < 0xffffffff ? id : undefined;
}
