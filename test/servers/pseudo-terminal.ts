/**
 * A pseudo-terminal whose other side is read at a chosen rate, as a UART's receiver does: what a console is for tests.
 */
import { closeSync, constants, openSync, readSync } from "node:fs";
import { ioctl } from "../../agent/kernel/machine.ts";

/** ioctl_tty(2) */
const TIOCSPTLCK = 0x40045431;
const TIOCGPTN = 0x80045430;

export interface PseudoTerminal {
  /** What a console is opened by; `name` is its last part. */
  readonly path: string;
  readonly name: string;
  /** What has been received so far. */
  readonly text: string;
  /** A line that hangs up: writing fails from then on. */
  close(): void;
}

/** Without `bytesPerSecond` it is read as fast as it comes. */
export function openPseudoTerminal({
  bytesPerSecond = Infinity,
  onData,
}: {
  bytesPerSecond?: number;
  onData?: (bytes: Buffer) => void;
} = {}): PseudoTerminal {
  const fd = openSync("/dev/ptmx", constants.O_RDWR | constants.O_NOCTTY | constants.O_NONBLOCK);
  const number = Buffer.alloc(4);
  ioctl(fd, TIOCSPTLCK, number);
  ioctl(fd, TIOCGPTN, number);
  const name = String(number.readUInt32LE());
  const path = `/dev/pts/${name}`;
  // While nobody has it open, reading says EIO.
  const holder = openSync(path, constants.O_RDWR | constants.O_NOCTTY);
  const received: Buffer[] = [];
  const startedAt = performance.now();
  let receivedBytes = 0;
  const buffer = Buffer.alloc(64 * 1024);
  const read = () => {
    const due = Math.floor(((performance.now() - startedAt) * bytesPerSecond) / 1000);
    const most = Math.min(buffer.length, Math.max(0, due - receivedBytes));
    if (most === 0) return;
    // A line that is idle does not save up.
    if (bytesPerSecond !== Infinity) receivedBytes = due;
    try {
      const bytes = Buffer.from(buffer.subarray(0, readSync(fd, buffer, 0, most, null)));
      received.push(bytes);
      onData?.(bytes);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EAGAIN") throw error;
    }
  };
  const timer = setInterval(read, 5);
  return {
    path,
    name,
    get text() {
      return Buffer.concat(received).toString();
    },
    close() {
      clearInterval(timer);
      closeSync(holder);
      closeSync(fd);
    },
  };
}
