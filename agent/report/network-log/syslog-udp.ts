/**
 * The log's lines as syslog messages by UDP (RFC 5426), one a datagram. Best effort by nature: no collector says what it got, and
 * only one that is not there says so. A pause behind every portion keeps bursts from overrunning it.
 */
import { createSocket, type Socket } from "node:dgram";
import { lookup } from "node:dns/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { SYSLOG_UDP_PAUSE_MS, SYSLOG_UDP_PORTION_BYTES } from "../limits.ts";
import type { LogLine } from "./line-queue.ts";
import type { LogTransport } from "./line-sender.ts";

export interface SyslogReader {
  host: string;
  port: number;
  /** Of a line, as a message. */
  format: (line: LogLine) => Buffer;
}

export function createSyslogUdp({ host, port, format }: SyslogReader): LogTransport {
  return {
    place: `syslog://${host}:${port}`,
    async run(source, { signal, onUp }) {
      const { address, family } = await lookup(host);
      const socket = createSocket(family === 6 ? "udp6" : "udp4");
      let failure: Error | undefined;
      socket.on("error", (error) => {
        failure ??= error;
      });
      socket.unref();
      try {
        await connectSocket(socket, port, address);
        for (let isUp = false; ; isUp = true) {
          // After an outage one line alone finds out whether anybody is there.
          const maxBytes = isUp ? SYSLOG_UDP_PORTION_BYTES : 1;
          const lines = await source.next({ maxBytes, signal });
          if (!lines) return;
          for (const line of lines) await sendMessage(socket, format(line));
          await sleep(SYSLOG_UDP_PAUSE_MS);
          if (failure) throw failure;
          source.acknowledge(lines.at(-1)!.number);
          if (!isUp) onUp();
        }
      } finally {
        socket.close();
      }
    },
  };
}

function connectSocket(socket: Socket, port: number, address: string): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once("error", reject);
    socket.connect(port, address, () => resolve());
  });
}

function sendMessage(socket: Socket, message: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.send(message, (error) => (error ? reject(error) : resolve()));
  });
}
