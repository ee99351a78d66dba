/**
 * Passes what is typed at the machine's console on to a container.
 */
import { closeSync, constants, openSync } from "node:fs";
import { Socket } from "node:net";
import { isatty, ReadStream } from "node:tty";
import type { SysLog } from "../sys-log.ts";

/**
 * `isRaw`: the container has a terminal of its own, which echoes and edits; the console shall do neither. Returns what ends it.
 */
export function connectConsole(
  path: string,
  sink: Socket,
  { isRaw, log }: { isRaw: boolean; log: SysLog },
): () => void {
  let fd: number;
  try {
    fd = openSync(path, constants.O_RDONLY | constants.O_NOCTTY | constants.O_NONBLOCK);
  } catch (error) {
    log.warn(
      `run: nothing can be typed, the console "${path}" cannot be opened: ${(error as Error).message}`,
    );
    return () => {};
  }
  try {
    const source = isatty(fd) ? new ReadStream(fd) : new Socket({ fd, readable: true, writable: false });
    if (isRaw && source instanceof ReadStream) source.setRawMode(true);
    source.on("error", (error) => log.warn(`run: nothing more can be typed: ${error.message}`));
    source.pipe(sink, { end: !isRaw });
    return () => {
      if (isRaw && source instanceof ReadStream && !source.destroyed) source.setRawMode(false);
      source.destroy();
    };
  } catch (error) {
    closeSync(fd);
    log.warn(`run: nothing can be typed, the console "${path}" cannot be read: ${(error as Error).message}`);
    return () => {};
  }
}
