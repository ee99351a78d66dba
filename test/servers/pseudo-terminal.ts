/**
 * A pseudo-terminal whose other side is read at a chosen rate, as by the receiver of a UART: the console of the tests.
 */
import { closeSync, constants, openSync, readSync } from "node:fs";
import { ioctl } from "../../agent/kernel/machine.ts";

/** ioctl_tty(2) */
const TIOCSPTLCK = 0x40045431;
const TIOCGPTN = 0x80045430;

export interface PseudoTerminal {
  /** The path to open; `name` is its last component. */
  readonly path: string;
  readonly name: string;
  /** Everything received so far. */
  readonly text: string;
  /** Hangs up the line: writing fails from then on. */
  close(): void;
}

/** Without `bytesPerSecond` it is read at full speed. */
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
    // An idle line does not accumulate credit.
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
