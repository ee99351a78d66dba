/**
 * The log's lines as syslog messages by TCP, with octet counting (RFC 6587). Collectors acknowledge nothing: a line counts as taken
 * some seconds after the other machine's TCP has confirmed it, and what was on its way when a connection broke is sent again.
 */
import { readFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { frameSyslogMessage } from "../../wire/syslog.ts";
import {
  NETWORK_LOG_CHUNK_BYTES,
  NETWORK_LOG_STALL_MS,
  SYSLOG_TCP_LOOK_MS,
  SYSLOG_TCP_TRUST_MS,
} from "../limits.ts";
import type { LineSource } from "./line-queue.ts";
import type { LogTransport } from "./line-sender.ts";
import type { SyslogReader } from "./syslog-udp.ts";

export interface SyslogTcpOptions {
  stallMs?: number;
  trustMs?: number;
  lookMs?: number;
}

/** All lines up to `number` had left us when so many bytes had. */
interface Mark {
  number: number;
  endBytes: number;
  confirmedAt?: number;
}

export function createSyslogTcp(
  { host, port, format }: SyslogReader,
  options: SyslogTcpOptions = {},
): LogTransport {
  const { stallMs = NETWORK_LOG_STALL_MS, lookMs = SYSLOG_TCP_LOOK_MS } = options;
  const { trustMs = SYSLOG_TCP_TRUST_MS } = options;
  return {
    place: `syslog+tcp://${host}:${port}`,
    async run(source, { signal, onUp }) {
      const broken = new AbortController();
      const socket = connect({ host, port, keepAlive: true });
      let failure: Error | undefined;
      const fail = (error: Error) => {
        failure ??= error;
        broken.abort();
      };
      socket.unref();
      // Collectors say nothing; what comes is thrown away.
      socket.resume();
      socket.on("error", fail);
      const failClosed = () => fail(new Error("the connection was closed"));
      socket.on("end", failClosed).on("close", failClosed);
      signal.addEventListener("abort", () => broken.abort(), { once: true });
      const marks = watchMarks(socket, source, { trustMs, lookMs, stallMs, fail });
      try {
        await waitFor(socket, "connect", broken.signal, stallMs);
        if (failure) throw failure;
        if (socket.connecting) throw new Error(`no answer for ${stallMs / 1000} s`);
        onUp();
        for (let sentBytes = 0; ; ) {
          const lines = await source.next({ maxBytes: NETWORK_LOG_CHUNK_BYTES, signal: broken.signal });
          if (failure) throw failure;
          if (!lines) break;
          const bytes = Buffer.concat(lines.map((line) => frameSyslogMessage(format(line))));
          await write(socket, bytes, broken.signal);
          if (failure) throw failure;
          sentBytes += bytes.length;
          marks.add({ number: lines.at(-1)!.number, endBytes: sentBytes });
        }
        if (signal.aborted) return;
        await marks.drain(broken.signal);
        if (failure) throw failure;
        socket.off("end", failClosed).off("close", failClosed);
        // A program that has read all answers our end with its own; one that died with lines unread breaks the connection.
        socket.end();
        await waitFor(socket, "close", broken.signal, 2 * lookMs);
        if (failure) throw failure;
      } finally {
        marks.stop();
        socket.off("end", failClosed).off("close", failClosed);
        socket.end();
        // A FIN behind the last byte; the kernel sends both when we are gone.
        setTimeout(() => socket.destroy(), lookMs).unref();
      }
    },
  };
}

interface MarkWatch {
  add(mark: Mark): void;
  /** Resolves when the other machine has all, or at the signal. */
  drain(signal: AbortSignal): Promise<void>;
  stop(): void;
}

function watchMarks(
  socket: Socket,
  source: LineSource,
  { trustMs, lookMs, stallMs, fail }: Required<SyslogTcpOptions> & { fail: (error: Error) => void },
): MarkWatch {
  let marks: Mark[] = [];
  let writtenBytes = 0;
  let movedAt = performance.now();
  let lastConfirmedBytes = 0;
  let whenConfirmed: (() => void) | undefined;
  const look = () => {
    const now = performance.now();
    const confirmedBytes = writtenBytes - (marks.length > 0 ? readUnconfirmedBytes(socket) : 0);
    if (confirmedBytes > lastConfirmedBytes || socket.bytesWritten === confirmedBytes) movedAt = now;
    lastConfirmedBytes = Math.max(lastConfirmedBytes, confirmedBytes);
    for (const mark of marks) if (mark.endBytes <= confirmedBytes) mark.confirmedAt ??= now;
    const taken = marks.filter(
      ({ confirmedAt }) => confirmedAt !== undefined && now - confirmedAt >= trustMs,
    );
    if (taken.length > 0) source.acknowledge(taken.at(-1)!.number);
    marks = marks.slice(taken.length);
    if (marks.every(({ confirmedAt }) => confirmedAt !== undefined)) whenConfirmed?.();
    if (now - movedAt > stallMs && !socket.connecting)
      fail(new Error(`takes nothing for ${stallMs / 1000} s`));
  };
  const timer = setInterval(look, lookMs).unref();
  return {
    add(mark) {
      writtenBytes = mark.endBytes;
      marks.push(mark);
    },
    async drain(signal) {
      const { promise, resolve } = Promise.withResolvers<void>();
      whenConfirmed = resolve;
      signal.addEventListener("abort", () => resolve(), { once: true });
      const soon = setInterval(look, Math.min(20, lookMs));
      look();
      await promise;
      clearInterval(soon);
    },
    stop: () => clearInterval(timer),
  };
}

/** Sent and not confirmed by the other machine: the tx_queue of the kernel's table of connections (proc(5), /proc/net/tcp). */
function readUnconfirmedBytes({ localPort, remotePort, remoteFamily }: Socket): number {
  if (localPort === undefined || remotePort === undefined) return 0;
  const hex = (port: number) => port.toString(16).toUpperCase().padStart(4, "0");
  const entry = new RegExp(`:${hex(localPort)} [0-9A-F]+:${hex(remotePort)} [0-9A-F]{2} ([0-9A-F]{8}):`).exec(
    readFileSync(remoteFamily === "IPv6" ? "/proc/net/tcp6" : "/proc/net/tcp", "latin1"),
  );
  return entry ? Number.parseInt(entry[1]!, 16) : 0;
}

/** For the event, or the signal, or so long. */
async function waitFor(socket: Socket, event: string, signal: AbortSignal, timeoutMs: number): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, timeoutMs);
  socket.once(event, () => resolve());
  signal.addEventListener("abort", () => resolve(), { once: true });
  await promise;
  clearTimeout(timer);
}

/** Resolves when the kernel has it, or at the signal. */
function write(socket: Socket, bytes: Buffer, signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const give = () => resolve();
  signal.addEventListener("abort", give);
  socket.write(bytes, give);
  return promise.finally(() => signal.removeEventListener("abort", give));
}
