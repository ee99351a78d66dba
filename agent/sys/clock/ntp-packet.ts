/**
 * The NTP packet, client's side: what is asked, what an answer means for our clock.
 * RFC 5905 sections 7.3 and 8; the checks are those RFC 4330 section 5 asks of a simple client.
 */
const PACKET_BYTES = 48;
/** Seconds from NTP's 1900 to Unix's 1970. */
const EPOCH_OFFSET_SECONDS = 2_208_988_800;
/** NTP's seconds are 32 bits and start again in 2036; a time before 1970 must belong to the second round. */
const ERA_SECONDS = 2 ** 32;

const MODE_CLIENT = 3;
const MODE_SERVER = 4;
const LEAP_UNSYNCHRONISED = 3;

export interface NtpAnswer {
  /** Add this to our clock. */
  offsetMs: number;
  roundTripMs: number;
  stratum: number;
}

/** `nonce` comes back in the answer: 8 random bytes in place of our time, which is nobody's business. */
export function encodeNtpRequest(nonce: Buffer): Buffer {
  const packet = Buffer.alloc(PACKET_BYTES);
  packet[0] = (4 << 3) | MODE_CLIENT;
  nonce.copy(packet, 40, 0, 8);
  return packet;
}

/** The answer, or why it is none. `sentMs` and `receivedMs` by our own clock. */
export function decodeNtpAnswer(
  packet: Buffer,
  { nonce, sentMs, receivedMs }: { nonce: Buffer; sentMs: number; receivedMs: number },
): NtpAnswer | { refused: string } {
  if (packet.length < PACKET_BYTES) return { refused: "it is too short" };
  if ((packet[0]! & 7) !== MODE_SERVER) return { refused: "it is no server's answer" };
  if (!packet.subarray(24, 32).equals(nonce)) return { refused: "it answers another question" };
  const stratum = packet[1]!;
  if (stratum === 0)
    return { refused: `the server says "${packet.toString("latin1", 12, 16).replace(/[^A-Z]/g, "")}"` };
  if (stratum > 15 || packet[0]! >> 6 === LEAP_UNSYNCHRONISED)
    return { refused: "the server has no time itself" };
  if (packet.readBigUInt64BE(40) === 0n) return { refused: "it has no time in it" };
  const serverReceivedMs = readTimestampMs(packet, 32);
  const serverSentMs = readTimestampMs(packet, 40);
  return {
    offsetMs: (serverReceivedMs - sentMs + (serverSentMs - receivedMs)) / 2,
    roundTripMs: Math.max(0, receivedMs - sentMs - (serverSentMs - serverReceivedMs)),
    stratum,
  };
}

function readTimestampMs(packet: Buffer, offset: number): number {
  const seconds = packet.readUInt32BE(offset) - EPOCH_OFFSET_SECONDS;
  const fraction = packet.readUInt32BE(offset + 4) / 2 ** 32;
  return ((seconds < 0 ? seconds + ERA_SECONDS : seconds) + fraction) * 1000;
}
