/**
 * The console of the DUT: the agent's own lines and the test's live output, through one bounded queue.
 * A UART carries 11 KB/s, so nothing waits for it: what does not fit is elided, counted and said; the log file has it all.
 */
import { write } from "node:fs";
import { CONSOLE_CHUNK_BYTES, CONSOLE_HOLD_MS, CONSOLE_QUEUE_BYTES } from "../limits.ts";
import { createResultLineFilter } from "./result-lines.ts";

export interface Console {
  /**
   * One line of the agent's, never elided; a line end is added. While the test has a line open it waits for its end, for a
   * second at most, and then ends it: a farm reads the test's lines whole.
   */
  line(text: string): void;
  /** Output of the test, as it came; of what is elided, the lines that farms wait for (result-lines.ts) still come. */
  output(chunk: Buffer): void;
  /** Resolves when everything queued has been handed to the kernel. */
  flush(): Promise<void>;
}

export interface ConsoleOptions {
  queueBytes?: number;
}

export function createConsole(fd: number, options: ConsoleOptions = {}): Console {
  const { queueBytes = CONSOLE_QUEUE_BYTES } = options;
  const queue: Buffer[] = [];
  let queuedBytes = 0;
  let elidedBytes = 0;
  let atLineStart = true;
  let writing = false;
  let whenIdle: (() => void)[] = [];
  const results = createResultLineFilter();
  const held: string[] = [];
  let holdTimer: NodeJS.Timeout | undefined;

  const enqueue = (bytes: Buffer) => {
    if (bytes.length === 0) return;
    queue.push(bytes);
    queuedBytes += bytes.length;
    atLineStart = bytes[bytes.length - 1] === 0x0a;
    if (!writing) writeNext();
  };

  const sayElided = () => {
    if (elidedBytes === 0) return;
    const note = `[dutboot: ${elidedBytes} bytes of output left out here; the log file has them]\n`;
    elidedBytes = 0;
    enqueue(Buffer.from(atLineStart ? note : `\n${note}`));
  };

  const releaseHeld = () => {
    clearTimeout(holdTimer);
    holdTimer = undefined;
    for (const text of held.splice(0)) {
      sayElided();
      enqueue(Buffer.from(atLineStart ? `${text}\n` : `\n${text}\n`));
    }
  };

  const writeNext = () => {
    const head = queue.shift();
    if (!head) {
      writing = false;
      if (elidedBytes > 0) return sayElided();
      for (const resolve of whenIdle.splice(0)) resolve();
      return;
    }
    writing = true;
    const chunk = head.subarray(0, CONSOLE_CHUNK_BYTES);
    write(fd, chunk, (error, written) => {
      // A console that cannot be written to must not end the job: its content is in the log file all the same.
      const done = error && error.code !== "EAGAIN" ? head.length : written;
      queuedBytes -= done;
      if (done < head.length) queue.unshift(head.subarray(done));
      if (error?.code === "EAGAIN") setTimeout(writeNext, 10);
      else writeNext();
    });
  };

  return {
    line(text) {
      held.push(text);
      if (atLineStart) releaseHeld();
      else holdTimer ??= setTimeout(releaseHeld, CONSOLE_HOLD_MS);
    },
    output(chunk) {
      if (queuedBytes + chunk.length > queueBytes) {
        const kept = results.filter(chunk);
        elidedBytes += chunk.length - kept.length;
        if (kept.length === 0) return;
        sayElided();
        enqueue(kept);
      } else {
        sayElided();
        enqueue(chunk);
      }
      if (atLineStart) releaseHeld();
    },
    flush() {
      releaseHeld();
      if (!writing && queue.length === 0 && elidedBytes === 0) return Promise.resolve();
      return new Promise((resolve) => {
        whenIdle = [...whenIdle, resolve];
        if (!writing) writeNext();
      });
    },
  };
}
