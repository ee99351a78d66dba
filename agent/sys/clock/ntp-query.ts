/**
 * Asks NTP servers for the time, all of them at once; the first sound answer wins.
 * UDP port 123; a lost packet is sent again, a wrong answer is told and waited past.
 */
import { randomBytes } from "node:crypto";
import { createSocket } from "node:dgram";
import { NTP_RETRY_MS, NTP_SERVERS_MAX, NTP_WAIT_MS } from "../limits.ts";
import { decodeNtpAnswer, encodeNtpRequest, type NtpAnswer } from "./ntp-packet.ts";

const NTP_PORT = 123;

export interface NtpQueryOptions {
  waitMs?: number;
  retryMs?: number;
  port?: number;
  signal?: AbortSignal;
}

export interface NtpResult extends NtpAnswer {
  server: string;
}

/** The first answer, or for each server why there is none. */
export async function queryTime(
  servers: readonly string[],
  options: NtpQueryOptions = {},
): Promise<NtpResult | { refusals: string[] }> {
  const { waitMs = NTP_WAIT_MS, signal } = options;
  const done = new AbortController();
  const timer = setTimeout(() => done.abort(), waitMs);
  const signals = AbortSignal.any([done.signal, ...(signal ? [signal] : [])]);
  const asked = servers.slice(0, NTP_SERVERS_MAX);
  const refusals: string[] = [];
  try {
    return await Promise.any(
      asked.map((server) =>
        askServer(server, signals, options).catch((error: Error) => {
          refusals.push(`${server}: ${error.message}`);
          throw error;
        }),
      ),
    );
  } catch {
    return { refusals };
  } finally {
    clearTimeout(timer);
    done.abort();
  }
}

function askServer(server: string, signal: AbortSignal, options: NtpQueryOptions): Promise<NtpResult> {
  const { retryMs = NTP_RETRY_MS, port = NTP_PORT } = options;
  const { promise, resolve, reject } = Promise.withResolvers<NtpResult>();
  const socket = createSocket("udp4");
  let lastWord = "no answer";
  let nonce = Buffer.alloc(8);
  let sentMs = 0;
  const ask = () => {
    nonce = randomBytes(8);
    sentMs = readClockMs();
    socket.send(encodeNtpRequest(nonce), (error) => {
      if (error) lastWord = error.message;
    });
  };
  socket.on("message", (packet) => {
    const answer = decodeNtpAnswer(packet, { nonce, sentMs, receivedMs: readClockMs() });
    if ("refused" in answer) lastWord = answer.refused;
    else resolve({ ...answer, server });
  });
  socket.on("error", (error) => {
    lastWord = error.message; // ECONNREFUSED: the machine is there, its server not (yet)
  });
  socket.connect(port, server, (error?: Error) => {
    if (error) reject(error);
    else ask();
  });
  const repeat = setInterval(() => {
    if (sentMs > 0) ask();
  }, retryMs);
  const giveUp = () => reject(new Error(lastWord));
  if (signal.aborted) giveUp();
  signal.addEventListener("abort", giveUp, { once: true });
  return promise.finally(() => {
    clearInterval(repeat);
    signal.removeEventListener("abort", giveUp);
    socket.close();
  });
}

/** Wall clock with the fraction that Date.now() leaves out; it follows when the clock is set. */
function readClockMs(): number {
  return Date.now();
}
