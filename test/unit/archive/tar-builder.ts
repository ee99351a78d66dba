/** Builds valid and invalid tar archives byte by byte, so that a test states exactly what is in them. */

const TYPEFLAGS = {
  file: "0",
  hardlink: "1",
  symlink: "2",
  char: "3",
  block: "4",
  directory: "5",
  fifo: "6",
} as const;

export interface Member {
  /** In latin1: one character per byte. */
  path: string;
  type?: keyof typeof TYPEFLAGS;
  /** For types that are refused. */
  typeflag?: string;
  content?: string | Buffer;
  mode?: number;
  uid?: number | Buffer;
  gid?: number;
  mtime?: number | Buffer;
  linkPath?: string;
  device?: [major: number, minor: number];
  /** Written into a pax header before the member, in this order. */
  pax?: readonly (readonly [key: string, value: string | Buffer])[];
  /** Overrides the header's field. */
  size?: number | Buffer;
  /** `ustar` by default. */
  magic?: "ustar" | "gnu" | "none";
  /** The last bytes of the header. */
  trailer?: string;
  /** Bytes at offsets of the header. */
  raw?: readonly (readonly [offset: number, bytes: Buffer])[];
  /** As old writers add up bytes. */
  signedSum?: boolean;
}

export interface TarOptions {
  endBlocks?: number;
}

export function buildTar(members: readonly Member[], { endBlocks = 2 }: TarOptions = {}): Buffer {
  return Buffer.concat([...members.map(buildMember), Buffer.alloc(512 * endBlocks)]);
}

export function buildMember(member: Member): Buffer {
  const content = Buffer.from((member.content as string) ?? "");
  const blocks = [buildHeader(member, content.length), padToBlock(content)];
  if (member.pax) blocks.unshift(buildPax(member.pax));
  return Buffer.concat(blocks);
}

export function buildPax(records: Member["pax"], typeflag = "x"): Buffer {
  const content = Buffer.concat((records ?? []).map(([key, value]) => buildPaxRecord(key, value)));
  return buildRawHeader("PaxHeader", typeflag, content);
}

/** A separate header with a body, such as GNU's long names ("L", "K"). */
export function buildRawHeader(path: string, typeflag: string, content: Buffer): Buffer {
  return Buffer.concat([buildHeader({ path, typeflag }, content.length), padToBlock(content)]);
}

export function buildPaxRecord(key: string, value: string | Buffer): Buffer {
  const body = Buffer.concat([
    Buffer.from(` ${key}=`, "latin1"),
    Buffer.from(value as string, "latin1"),
    Buffer.from("\n"),
  ]);
  let length = body.length + 1;
  while (String(length).length + body.length !== length) length = String(length).length + body.length;
  return Buffer.concat([Buffer.from(String(length)), body]);
}

/** GNU's form of numbers that octal digits cannot hold. */
export function encodeBase256(value: bigint, bytes = 12): Buffer {
  const field = Buffer.alloc(bytes);
  let rest = BigInt.asUintN(bytes * 8, value);
  for (let i = bytes - 1; i >= 0; i--) {
    field[i] = Number(rest & 0xffn);
    rest >>= 8n;
  }
  if (value >= 0n) field[0] = 0x80;
  return field;
}

function buildHeader(member: Member, contentBytes: number): Buffer {
  const block = Buffer.alloc(512);
  const type = member.type ?? "file";
  const defaultMode = type === "directory" ? 0o755 : 0o644;
  block.write(member.path.slice(0, 100), 0, "latin1");
  writeNumber(block, 100, 8, member.mode ?? defaultMode);
  writeNumber(block, 108, 8, member.uid ?? 0);
  writeNumber(block, 116, 8, member.gid ?? 0);
  writeNumber(block, 124, 12, member.size ?? contentBytes);
  writeNumber(block, 136, 12, member.mtime ?? 1_700_000_000);
  block.write(member.typeflag ?? TYPEFLAGS[type], 156, "latin1");
  block.write(member.linkPath?.slice(0, 100) ?? "", 157, "latin1");
  const magic = member.magic ?? "ustar";
  if (magic === "ustar") block.write("ustar\x0000", 257, "latin1");
  if (magic === "gnu") block.write("ustar  \0", 257, "latin1");
  if (member.device) {
    writeNumber(block, 329, 8, member.device[0]);
    writeNumber(block, 337, 8, member.device[1]);
  }
  block.write(member.trailer ?? "", 508, "latin1");
  for (const [offset, bytes] of member.raw ?? []) bytes.copy(block, offset);
  block.fill(" ", 148, 156);
  const sum = block.reduce((total, byte) => total + (member.signedSum ? (byte << 24) >> 24 : byte), 0);
  block.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
  return block;
}

function writeNumber(block: Buffer, offset: number, bytes: number, value: number | Buffer): void {
  if (typeof value === "number") value = Buffer.from(`${value.toString(8).padStart(bytes - 1, "0")}\0`);
  value.copy(block, offset, 0, bytes);
}

function padToBlock(content: Buffer): Buffer {
  return Buffer.concat([content, Buffer.alloc((512 - (content.length % 512)) % 512)]);
}
