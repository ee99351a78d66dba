/**
 * The log's copy as it is (`dut.log=tcp://HOST:PORT`): every byte that the console gets, at once and without numbers, for readers
 * that take a console (LAVA, a person with netcat). While nobody takes it a bounded queue does, then the oldest bytes go.
 */
import { connect, type Socket } from "node:net";
import type { Console } from "../console/console.ts";
import {
  CONSOLE_HOLD_MS,
  NETWORK_LOG_CHUNK_BYTES,
  NETWORK_LOG_FLUSH_MS,
  NETWORK_LOG_QUEUE_BYTES,
  NETWORK_LOG_RETRY_MS,
  NETWORK_LOG_STALL_MS,
} from "../limits.ts";

/** Takes what the console takes, from the first line on. */
export interface RawLog extends Pick<Console, "line" | "output"> {
  start(reader: { host: string; port: number }): void;
  /** Before it is started: of what is kept, each line is replaced. */
  cleanKept(clean: (line: string) => string): void;
  /** What was kept is let go, and nothing is kept any more. */
  discard(): void;
  /** Waits for what is queued to leave, for a bounded time; then ends the connection. */
  close(): Promise<void>;
}

export interface RawLogOptions {
  log: { info(line: string): void; warn(line: string): void };
  queueBytes?: number;
  retryMs?: number;
  stallMs?: number;
  flushMs?: number;
}

export function createRawLog(options: RawLogOptions): RawLog {
  const { log, queueBytes = NETWORK_LOG_QUEUE_BYTES, retryMs = NETWORK_LOG_RETRY_MS } = options;
  const { stallMs = NETWORK_LOG_STALL_MS, flushMs = NETWORK_LOG_FLUSH_MS } = options;
  const queue: Buffer[] = [];
  let queuedBytes = 0;
  let lostBytes = 0;
  let atLineStart = true;
  let isOver = false;
  /** So many of the queue's first pieces are on their way and must stay. */
  let sending = 0;
  let socket: Socket | undefined;
  let reader: { host: string; port: number } | undefined;
  let retry: NodeJS.Timeout | undefined;
  let wasTold = false;
  const held: string[] = [];
  let holdTimer: NodeJS.Timeout | undefined;
  let whenEmpty: (() => void)[] = [];

  const enqueue = (bytes: Buffer) => {
    if (isOver || bytes.length === 0) return;
    atLineStart = bytes.at(-1) === 0x0a;
    // Whole small pieces, so that what is dropped is little and what is sent is seen.
    for (let at = 0; at < bytes.length; at += NETWORK_LOG_CHUNK_BYTES) {
      const piece = bytes.subarray(at, at + NETWORK_LOG_CHUNK_BYTES);
      queue.push(piece);
      queuedBytes += piece.length;
    }
    while (queuedBytes > queueBytes && queue.length > sending + 1) {
      const [dropped] = queue.splice(sending, 1);
      queuedBytes -= dropped!.length;
      lostBytes += dropped!.length;
    }
    sendNext();
  };

  const releaseHeld = () => {
    clearTimeout(holdTimer);
    holdTimer = undefined;
    for (const text of held.splice(0)) {
      enqueue(
        Buffer.from(
          atLineStart
            ? `${text}
`
            : `
${text}
`,
        ),
      );
    }
  };

  /** As on the console: the test's line comes whole, unless it stays open. */
  const line = (text: string) => {
    held.push(text);
    if (atLineStart) releaseHeld();
    else holdTimer ??= setTimeout(releaseHeld, CONSOLE_HOLD_MS).unref();
  };

  const sendNext = () => {
    if (sending > 0 || !socket || socket.connecting) return;
    if (lostBytes > 0) {
      const note = Buffer.from(
        `\n[dutboot: ${lostBytes} bytes of the log left out here: nobody took them]\n`,
      );
      queue.unshift(note);
      queuedBytes += note.length;
      lostBytes = 0;
    }
    if (queue.length === 0) {
      for (const resolve of whenEmpty.splice(0)) resolve();
      return;
    }
    let chunkBytes = 0;
    while (sending < queue.length && (sending === 0 || chunkBytes < NETWORK_LOG_CHUNK_BYTES)) {
      chunkBytes += queue[sending++]!.length;
    }
    const sender = socket;
    sender.write(Buffer.concat(queue.slice(0, sending)), (error) => {
      if (sender !== socket) return;
      const sent = sending;
      sending = 0;
      // What did not leave whole is sent again at the next connection: rather twice than never.
      if (error) return;
      queue.splice(0, sent);
      queuedBytes -= chunkBytes;
      sendNext();
    });
  };

  const open = () => {
    if (!reader || isOver) return;
    const fresh = connect({ ...reader, keepAlive: true });
    socket = fresh;
    fresh.unref();
    // Nobody speaks on this connection but us; what comes is thrown away.
    fresh.resume();
    fresh.setTimeout(stallMs, () => {
      if (sending > 0 || fresh.connecting) fresh.destroy(new Error(`takes nothing for ${stallMs / 1000} s`));
    });
    fresh.on("connect", () => {
      log.info(`log: copied to ${reader!.host}:${reader!.port}${wasTold ? " again" : ""}`);
      wasTold = false;
      sendNext();
    });
    fresh.on("error", (error) => {
      // Once for each time it is away: a reader that stays away must not fill the log with it.
      if (!wasTold) log.warn(`log: ${reader!.host}:${reader!.port} does not take the log: ${error.message}`);
      wasTold = true;
    });
    fresh.on("close", () => {
      if (socket !== fresh) return;
      socket = undefined;
      sending = 0;
      if (!isOver) retry = setTimeout(open, retryMs).unref();
    });
  };

  return {
    line,
    output(chunk) {
      enqueue(chunk);
      if (atLineStart) releaseHeld();
    },
    cleanKept(clean) {
      if (reader) return;
      const cleaned = queue.splice(0).map((piece) => Buffer.from(clean(piece.toString())));
      queuedBytes = cleaned.reduce((sum, { length }) => sum + length, 0);
      queue.push(...cleaned);
    },
    start(to) {
      if (reader || isOver) return;
      reader = to;
      open();
    },
    discard() {
      if (reader) return;
      isOver = true;
      queue.length = 0;
      held.length = 0;
      queuedBytes = 0;
    },
    async close() {
      releaseHeld();
      if (reader && !isOver) {
        const { promise, resolve } = Promise.withResolvers<void>();
        whenEmpty = [...whenEmpty, resolve];
        const timer = setTimeout(resolve, flushMs);
        sendNext();
        await promise;
        clearTimeout(timer);
      }
      isOver = true;
      clearTimeout(retry);
      await endSocket(socket, flushMs);
    },
  };
}

/** With a FIN behind the last byte, and not longer than the reader may take to answer it. */
async function endSocket(socket: Socket | undefined, flushMs: number): Promise<void> {
  if (!socket || socket.destroyed) return;
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, flushMs);
  socket.on("close", () => resolve());
  socket.end();
  await promise;
  clearTimeout(timer);
  socket.destroy();
}
