/**
 * The log by TCP: raw bytes for readers of a console (LAVA, netcat), or syslog messages with octet counting (RFC 6587). Readers
 * acknowledge nothing, and what TCP has delivered may be lost with the reader: a line counts as taken `resendMs` after it was written,
 * and when a connection breaks, later lines are sent again.
 */
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { frameSyslogMessage } from "../../wire/syslog.ts";
import { NETWORK_LOG_CHUNK_BYTES, NETWORK_LOG_STALL_MS, SYSLOG_TCP_RESEND_MS } from "../limits.ts";
import type { LogLine } from "./line-queue.ts";
import type { LogTransport } from "./network-log.ts";
import type { SyslogReader } from "./syslog-udp.ts";

export interface TcpLogOptions {
  stallMs?: number;
  resendMs?: number;
}

/** Lines have no numbers here, so a reader could not tell repeated ones: only what was not written is sent again. */
export function createRawLog(
  { host, port }: { host: string; port: number },
  options?: TcpLogOptions,
): LogTransport {
  const location = `tcp://${host}:${port}`;
  return createTcpLog(location, { host, port, createEncoder: createRawEncoder, resendMs: 0, ...options });
}

export function createSyslogTcp({ host, port, format }: SyslogReader, options?: TcpLogOptions): LogTransport {
  const createEncoder = () => (line: LogLine) => frameSyslogMessage(format(line));
  const resendMs = SYSLOG_TCP_RESEND_MS;
  return createTcpLog(`syslog+tcp://${host}:${port}`, { host, port, createEncoder, resendMs, ...options });
}

type Encoder = (line: LogLine) => Buffer;

/** As a console shows them: a line of the agent or the kernel never continues an open line of the test. */
function createRawEncoder(): Encoder {
  let isMidLine = false;
  return ({ part, text }) => {
    const startsLine = part === "whole" || part === "start";
    const endsLine = part === "whole" || part === "end";
    // Another line has ended this one already.
    if (part === "end" && text.length === 0 && !isMidLine) return text;
    const prefix = startsLine && isMidLine ? "\n" : "";
    isMidLine = !endsLine;
    return Buffer.concat([Buffer.from(prefix), text, Buffer.from(endsLine ? "\n" : "")]);
  };
}

interface TcpReader {
  host: string;
  port: number;
  /** One for each connection. */
  createEncoder: () => Encoder;
  resendMs: number;
  stallMs?: number;
}

function createTcpLog(
  location: string,
  { host, port, createEncoder, resendMs, stallMs = NETWORK_LOG_STALL_MS }: TcpReader,
): LogTransport {
  return {
    location,
    isUnbuffered: resendMs === 0,
    async run(source, { signal, onUp }) {
      const encode = createEncoder();
      const written: { number: number; at: number }[] = [];
      const acknowledge = () => {
        const until = performance.now() - resendMs;
        while (written.length > 0 && written[0]!.at <= until) source.acknowledge(written.shift()!.number);
      };
      const socket = connect({ host, port, keepAlive: true });
      const failure = watchFailure(socket, stallMs);
      const ended = AbortSignal.any([signal, failure]);
      try {
        await once(socket, "connect", { signal: ended });
        onUp();
        for (;;) {
          const lines = await source.next({ maxBytes: NETWORK_LOG_CHUNK_BYTES, signal: ended });
          ended.throwIfAborted();
          if (!lines) break;
          await write(socket, Buffer.concat(lines.map(encode)), ended);
          written.push({ number: lines.at(-1)!.number, at: performance.now() });
          acknowledge();
        }
        // A reader that has read everything closes as well; one that died with unread lines resets the connection.
        const closed = once(socket, "close", { signal });
        socket.end();
        await closed;
      } catch (error) {
        throw failure.aborted ? failure.reason : error;
      } finally {
        acknowledge();
        if (signal.aborted) socket.destroySoon();
        else socket.destroy();
      }
    },
  };
}

/** Aborts with the reason when the connection fails, is closed by the reader, or stalls. */
function watchFailure(socket: Socket, stallMs: number): AbortSignal {
  const controller = new AbortController();
  const fail = (message: string) => controller.abort(new Error(message));
  // Readers send nothing; what comes all the same is dropped.
  socket.unref().resume();
  socket.on("error", (error) => controller.abort(error));
  for (const event of ["end", "close"])
    socket.on(event, () => socket.writableEnded || fail("the connection was closed"));
  socket.setTimeout(stallMs, () => {
    if (socket.connecting) fail(`no answer for ${stallMs / 1000} s`);
    else if (socket.writableLength > 0) fail(`it accepted no data for ${stallMs / 1000} s`);
  });
  return controller.signal;
}

/** Resolves when the kernel has taken all bytes. */
function write(socket: Socket, bytes: Buffer, signal: AbortSignal): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const stop = () => reject(signal.reason as Error);
  signal.addEventListener("abort", stop);
  socket.write(bytes, (error) => (error ? reject(error) : resolve()));
  return promise.finally(() => signal.removeEventListener("abort", stop));
}
