/**
 * The log's lines as syslog messages by UDP (RFC 5426), one per datagram. Delivery is best effort: only a collector that is not there
 * is noticed, by ICMP. A pause after each batch keeps bursts from overrunning it.
 */
import { createSocket, type Socket } from "node:dgram";
import { lookup } from "node:dns/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { SYSLOG_UDP_BATCH_BYTES, SYSLOG_UDP_PAUSE_MS } from "../limits.ts";
import type { LogLine } from "./line-queue.ts";
import type { LogTransport } from "./network-log.ts";

export interface SyslogReader {
  host: string;
  port: number;
  /** Makes a message of a line. */
  format: (line: LogLine) => Buffer;
}

export function createSyslogUdp({ host, port, format }: SyslogReader): LogTransport {
  return {
    location: `syslog://${host}:${port}`,
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
          // After an outage a single line probes whether the collector is there.
          const maxBytes = isUp ? SYSLOG_UDP_BATCH_BYTES : 1;
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
