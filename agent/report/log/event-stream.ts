/**
 * The stream of events: numbered JSON lines, kept in a file among the results and copied to the virtio-serial port
 * where a host listens. Events before the port appears are kept and sent when it does.
 */
import { closeSync, constants, openSync, readdirSync, readFileSync, writeSync } from "node:fs";
import { EVENT_PORT_NAME, type EventBody, formatEventLine } from "../../wire/event.ts";
import { EVENT_PORT_PATIENCE_MS } from "../limits.ts";

export interface EventStream {
  emit(body: EventBody): void;
  /** Told of every event from now on, after it is written. */
  follow(follower: (body: EventBody) => void): void;
  /** Opens the host's port if the machine has one; true when it is there. */
  attachPort(): boolean;
  /** Sends what is still waiting, for a bounded time. */
  close(): Promise<void>;
}

export interface EventStreamOptions {
  readUptimeMs: () => number;
  onLine: (line: string) => void;
  /** Takes secrets out of it. */
  clean: (body: EventBody) => EventBody;
}

export function createEventStream({ readUptimeMs, onLine, clean }: EventStreamOptions): EventStream {
  let seq = 0;
  let portFd: number | undefined;
  let waiting = Buffer.alloc(0);
  const followers: ((body: EventBody) => void)[] = [];

  const sendWaiting = () => {
    if (portFd === undefined) return;
    try {
      while (waiting.length > 0) waiting = waiting.subarray(writeSync(portFd, waiting));
    } catch (error) {
      // EAGAIN: the host is slow or not there; the lines wait. Anything else: the port is gone for good.
      if ((error as NodeJS.ErrnoException).code !== "EAGAIN") portFd = undefined;
    }
  };

  return {
    emit(written) {
      const body = clean(written);
      const line = formatEventLine({ v: 1, seq: seq++, uptimeMs: readUptimeMs(), ...body });
      onLine(line);
      waiting = Buffer.concat([waiting, Buffer.from(line)]);
      sendWaiting();
      for (const follower of followers) follower(body);
    },
    follow: (follower) => void followers.push(follower),
    attachPort() {
      const device = findEventPort();
      if (!device) return false;
      portFd = openSync(device, constants.O_WRONLY | constants.O_NONBLOCK);
      sendWaiting();
      return true;
    },
    async close() {
      const deadline = performance.now() + EVENT_PORT_PATIENCE_MS;
      while (portFd !== undefined && waiting.length > 0 && performance.now() < deadline) {
        await new Promise((resolve) => setTimeout(resolve, 20));
        sendWaiting();
      }
      if (portFd !== undefined) closeSync(portFd);
      portFd = undefined;
    },
  };
}

/** Without udev there is no /dev/virtio-ports/NAME; sysfs has the names. */
function findEventPort(): string | undefined {
  const folder = "/sys/class/virtio-ports";
  for (const port of readFolder(folder)) {
    if (readName(`${folder}/${port}/name`) === EVENT_PORT_NAME) return `/dev/${port}`;
  }
  return undefined;
}

/** A console on the same bus is a port without a name, and one that just appears has none yet. */
function readName(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8").trim();
  } catch {
    return undefined;
  }
}

function readFolder(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return []; // no virtio-serial bus on this machine
  }
}
