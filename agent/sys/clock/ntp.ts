/**
 * A simple NTP client: asks all servers at once and takes the first valid answer. Debian's busybox has no ntpd.
 * RFC 5905 sections 7.3 and 8; the answer is checked as RFC 4330 section 5 requires.
 */
import { randomBytes } from "node:crypto";
import { createSocket } from "node:dgram";
import { NTP_RETRY_MS, NTP_SERVERS_MAX, NTP_WAIT_MS } from "../limits.ts";

const NTP_PORT = 123;
const PACKET_BYTES = 48;
/** Seconds from NTP's 1900 to Unix's 1970. */
const EPOCH_OFFSET_SECONDS = 2_208_988_800;
/** NTP's seconds have 32 bits and wrap in 2036: a time before 1970 belongs to the second era. */
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

/** `nonce`: 8 random bytes in place of our time, which the answer repeats. */
export function encodeNtpRequest(nonce: Buffer): Buffer {
  const packet = Buffer.alloc(PACKET_BYTES);
  packet[0] = (4 << 3) | MODE_CLIENT;
  nonce.copy(packet, 40, 0, 8);
  return packet;
}

/** The answer, or why it is invalid. `sentMs` and `receivedMs` are by our own clock. */
export function decodeNtpAnswer(
  packet: Buffer,
  { nonce, sentMs, receivedMs }: { nonce: Buffer; sentMs: number; receivedMs: number },
): NtpAnswer | { refused: string } {
  if (packet.length < PACKET_BYTES) return { refused: "the answer is too short" };
  if ((packet[0]! & 7) !== MODE_SERVER) return { refused: "the answer is not from a server" };
  if (!packet.subarray(24, 32).equals(nonce)) return { refused: "the answer is to another request" };
  const stratum = packet[1]!;
  if (stratum === 0)
    return { refused: `the server answers "${packet.toString("latin1", 12, 16).replace(/[^A-Z]/g, "")}"` };
  if (stratum > 15 || packet[0]! >> 6 === LEAP_UNSYNCHRONISED)
    return { refused: "the server is not synchronised" };
  if (packet.readBigUInt64BE(40) === 0n) return { refused: "the answer has no time" };
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

export interface NtpQueryOptions {
  waitMs?: number;
  retryMs?: number;
  port?: number;
  signal?: AbortSignal;
}

export interface NtpResult extends NtpAnswer {
  server: string;
}

/** The first valid answer, or for each server why there is none. */
export async function queryTime(
  servers: readonly string[],
  options: NtpQueryOptions = {},
): Promise<NtpResult | { refusals: string[] }> {
  const { waitMs = NTP_WAIT_MS, signal } = options;
  const done = new AbortController();
  const timer = setTimeout(() => done.abort(), waitMs);
  const stop = signal ? AbortSignal.any([done.signal, signal]) : done.signal;
  const refusals: string[] = [];
  const ask = (server: string) =>
    askServer(server, stop, options).catch((error: Error) => {
      refusals.push(`${server}: ${error.message}`);
      throw error;
    });
  try {
    return await Promise.any(servers.slice(0, NTP_SERVERS_MAX).map(ask));
  } catch {
    return { refusals };
  } finally {
    clearTimeout(timer);
    done.abort();
  }
}

/** Sends again until there is a valid answer; an invalid one may be forged and does not end the wait. */
async function askServer(server: string, signal: AbortSignal, options: NtpQueryOptions): Promise<NtpResult> {
  const { retryMs = NTP_RETRY_MS, port = NTP_PORT } = options;
  const { promise, resolve, reject } = Promise.withResolvers<NtpResult>();
  const socket = createSocket("udp4");
  let failure = "no answer";
  let nonce = Buffer.alloc(8);
  let sentMs = 0;
  const ask = () => {
    nonce = randomBytes(8);
    sentMs = Date.now();
    socket.send(encodeNtpRequest(nonce), (error) => {
      if (error) failure = error.message;
    });
  };
  socket.on("message", (packet) => {
    const answer = decodeNtpAnswer(packet, { nonce, sentMs, receivedMs: Date.now() });
    if ("refused" in answer) failure = answer.refused;
    else resolve({ ...answer, server });
  });
  socket.on("error", (error) => {
    failure = error.message; // ECONNREFUSED: the server's service may start later
  });
  socket.connect(port, server, (error?: Error) => {
    if (error) reject(error);
    else ask();
  });
  const repeat = setInterval(() => {
    if (sentMs > 0) ask();
  }, retryMs);
  const giveUp = () => reject(new Error(failure));
  if (signal.aborted) giveUp();
  signal.addEventListener("abort", giveUp, { once: true });
  try {
    return await promise;
  } finally {
    clearInterval(repeat);
    signal.removeEventListener("abort", giveUp);
    socket.close();
  }
}
