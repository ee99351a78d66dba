/**
 * Mode, owner and times of a file as metadata of its object, in the MinIO client's format (`X-Amz-Meta-Mc-Attrs`); s3cmd's similar
 * `X-Amz-Meta-S3cmd-Attrs` is read too (minio/mc, pkg/disk/stat_linux.go and cmd/utils.go).
 */
import type { BigIntStats } from "node:fs";
import type { FileTime } from "../kernel/syscalls.ts";

const OWN_NAME = "mc-attrs";
const NAMES = ["s3cmd-attrs", OWN_NAME];
const NS_PER_S = 1_000_000_000n;

export interface FileAttributes {
  mode?: number;
  uid?: number;
  gid?: number;
  atime?: FileTime;
  mtime?: FileTime;
}

/** Without the names of owner and group, which have no meaning elsewhere. */
export function formatFileAttributes(stats: BigIntStats): Record<string, string> {
  const fields = [
    `atime:${formatTime(stats.atimeNs)}`,
    `gid:${stats.gid}`,
    `mode:${stats.mode}`,
    `mtime:${formatTime(stats.mtimeNs)}`,
    `uid:${stats.uid}`,
  ];
  return { [OWN_NAME]: fields.join("/") };
}

/** Malformed fields are ignored. */
export function parseFileAttributes(metadata: Readonly<Record<string, string>>): FileAttributes {
  const fields = new Map<string, string>();
  for (const name of NAMES) {
    for (const field of (metadata[name] ?? "").split("/")) {
      const [, key, value] = /^\s*([a-z]+):([^:]*)$/.exec(field) ?? [];
      if (key !== undefined) fields.set(key, value!.trim());
    }
  }
  const attributes = {
    mode: parseMode(fields.get("mode")),
    uid: parseId(fields.get("uid")),
    gid: parseId(fields.get("gid")),
    atime: parseTime(fields.get("atime")),
    mtime: parseTime(fields.get("mtime")),
  };
  const valid = Object.entries(attributes).filter(([, value]) => value !== undefined);
  return Object.fromEntries(valid) as FileAttributes;
}

function formatTime(timeNs: bigint): string {
  const nsec = ((timeNs % NS_PER_S) + NS_PER_S) % NS_PER_S;
  return `${(timeNs - nsec) / NS_PER_S}#${nsec}`;
}

/** `SECONDS[#NANOSECONDS]` */
function parseTime(text: string | undefined): FileTime | undefined {
  const [, sec, nsec = "0"] = /^(-?\d{1,12})(?:#(\d{1,9}))?$/.exec(text ?? "") ?? [];
  return sec === undefined ? undefined : { sec: Number(sec), nsec: Number(nsec) };
}

/** Go's number syntax: 0 and 0o for octal, 0x for hexadecimal. Drops the file type. */
function parseMode(text: string | undefined): number | undefined {
  if (!/^(0[oO]?[0-7]{1,8}|0[xX][0-9a-fA-F]{1,6}|[1-9]\d{0,7}|0)$/.test(text ?? "")) return undefined;
  const mode = /^0[0-7]/.test(text!) ? Number.parseInt(text!, 8) : Number(text);
  return mode & 0o7777;
}

function parseId(text: string | undefined): number | undefined {
  const id = /^\d{1,10}$/.test(text ?? "") ? Number(text) : undefined;
  return id !== undefined && id < 0xffff_ffff ? id : undefined;
}
