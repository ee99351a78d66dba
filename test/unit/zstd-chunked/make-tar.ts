/**
 * Makes small tar archives for tests, block by block, so that odd ones can be made too.
 * Only what a test asks for is in them: nothing is normalised.
 */

export interface TarPart {
  name: string;
  typeFlag?: string;
  content?: Buffer | string;
  linkName?: string;
  mode?: number;
  uid?: number;
  gid?: number;
  mtime?: number;
  /** Records of a pax header before it. */
  pax?: Record<string, string | Buffer>;
  /** Puts the name into a GNU long-name header. */
  isGnuLongName?: boolean;
  devMajor?: number;
  devMinor?: number;
  /** Instead of the content's length. */
  sizeField?: number;
}

const BLOCK_BYTES = 512;

export function makeTar(parts: readonly TarPart[], trailer: Buffer = Buffer.alloc(2 * BLOCK_BYTES)): Buffer {
  return Buffer.concat([...parts.flatMap(makeMember), trailer]);
}

function makeMember(part: TarPart): Buffer[] {
  const buffers: Buffer[] = [];
  if (part.pax !== undefined) {
    const records = Buffer.concat(
      Object.entries(part.pax).map(([key, value]) => makeRecord(key, Buffer.from(value))),
    );
    buffers.push(...makeBlocks({ name: "PaxHeaders/x", typeFlag: "x", content: records }));
  }
  if (part.isGnuLongName) {
    const name = Buffer.concat([Buffer.from(part.name, "latin1"), Buffer.alloc(1)]);
    buffers.push(...makeBlocks({ name: "././@LongLink", typeFlag: "L", content: name }));
  }
  buffers.push(...makeBlocks(part));
  return buffers;
}

function makeBlocks(part: TarPart): Buffer[] {
  const content = Buffer.from(part.content ?? "");
  const padding = Buffer.alloc((BLOCK_BYTES - (content.length % BLOCK_BYTES)) % BLOCK_BYTES);
  return [makeHeader(part, part.sizeField ?? content.length), content, padding];
}

function makeHeader(part: TarPart, sizeBytes: number): Buffer {
  const header = Buffer.alloc(BLOCK_BYTES);
  const octal = (value: number, length: number, at: number) =>
    header.write(`${value.toString(8).padStart(length - 1, "0")}\0`, at, "latin1");
  header.write(part.name.slice(0, 100), 0, "latin1");
  octal(part.mode ?? 0o644, 8, 100);
  octal(part.uid ?? 0, 8, 108);
  octal(part.gid ?? 0, 8, 116);
  octal(sizeBytes, 12, 124);
  octal(part.mtime ?? 0, 12, 136);
  header.write("        ", 148, "latin1");
  header.write(part.typeFlag ?? "0", 156, "latin1");
  header.write(part.linkName ?? "", 157, "latin1");
  header.write(part.isGnuLongName ? "ustar  \0" : "ustar\x0000", 257, "latin1");
  octal(part.devMajor ?? 0, 8, 329);
  octal(part.devMinor ?? 0, 8, 337);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
  return header;
}

function makeRecord(key: string, value: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(` ${key}=`), value, Buffer.from("\n")]);
  let length = body.length;
  while (String(length).length + body.length !== length) length = String(length).length + body.length;
  return Buffer.concat([Buffer.from(String(length)), body]);
}
