/**
 * The client's half of NBD's handshake, for the server's default export: fixed newstyle, and the oldstyle that servers on a
 * port of their own still speak (NBD protocol, doc/proto.md). Bytes come and go through the caller's connection.
 */

/** A connection, as far as the handshake needs one. Both throw what goes wrong. */
export interface HandshakeStream {
  /** Exactly so many. */
  read(sizeBytes: number): Promise<Buffer>;
  write(bytes: Buffer): Promise<void>;
}

export interface NbdExport {
  sizeBytes: number;
  /** Transmission flags, as the kernel takes them. */
  flags: number;
}

const INIT_MAGIC = Buffer.from("NBDMAGIC");
const OPTION_MAGIC = Buffer.from("IHAVEOPT");
const OLDSTYLE_MAGIC = Buffer.from("0000420281861253", "hex");
const FLAG_NO_ZEROES = 2;
/** Fixed newstyle, and no padding behind the answer. */
const KNOWN_FLAGS = 1 | FLAG_NO_ZEROES;
const OPT_EXPORT_NAME = 1;
const PADDING_BYTES = 124;

/** The server takes several connections to one export at a time. */
export const NBD_FLAG_CAN_MULTI_CONN = 1 << 8;

/** Throws an Error that says what the server is or does instead. */
export async function negotiate(stream: HandshakeStream): Promise<NbdExport> {
  const greeting = await stream.read(16);
  if (!greeting.subarray(0, 8).equals(INIT_MAGIC)) throw new Error("it is no NBD server");
  const style = greeting.subarray(8);
  if (style.equals(OLDSTYLE_MAGIC)) {
    const answer = await stream.read(8 + 4 + PADDING_BYTES);
    return { sizeBytes: readSize(answer), flags: answer.readUInt32BE(8) & 0xffff };
  }
  if (!style.equals(OPTION_MAGIC)) throw new Error("it speaks an unknown kind of NBD");
  const offered = (await stream.read(2)).readUInt16BE(0);
  const agreed = offered & KNOWN_FLAGS;
  const request = Buffer.alloc(4 + 8 + 4 + 4);
  request.writeUInt32BE(agreed, 0);
  OPTION_MAGIC.copy(request, 4);
  request.writeUInt32BE(OPT_EXPORT_NAME, 12);
  // No name behind it: the default export.
  await stream.write(request);
  // A server without one has no way to say so and hangs up.
  const answer = await stream.read(8 + 2).catch((error: unknown) => {
    throw new Error("it has no default export", { cause: error });
  });
  if ((agreed & FLAG_NO_ZEROES) === 0) await stream.read(PADDING_BYTES);
  return { sizeBytes: readSize(answer), flags: answer.readUInt16BE(8) };
}

function readSize(answer: Buffer): number {
  const sizeBytes = Number(answer.readBigUInt64BE(0));
  if (sizeBytes === 0 || !Number.isSafeInteger(sizeBytes))
    throw new Error(`its export has ${sizeBytes} bytes`);
  return sizeBytes;
}
