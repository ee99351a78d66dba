/**
 * The stream of events: numbered JSON lines, kept in a file among the results and copied to the virtio-serial port that the host reads.
 * Events before the port appears are buffered.
 */
import { closeSync, constants, openSync, readdirSync, readFileSync, writeSync } from "node:fs";
import { EVENT_PORT_NAME, type EventBody, formatEventLine } from "../../wire/event.ts";
import { EVENT_PORT_PATIENCE_MS } from "../limits.ts";

export interface EventStreamOptions {
  readUptimeMs: () => number;
  onLine: (line: string) => void;
  /** Takes secrets out of it. */
  clean: (body: EventBody) => EventBody;
}

export type EventStream = ReturnType<typeof createEventStream>;

export function createEventStream({ readUptimeMs, onLine, clean }: EventStreamOptions) {
  let seq = 0;
  let portFd: number | undefined;
  let waiting = Buffer.alloc(0);
  const followers: ((body: EventBody) => void)[] = [];

  const sendWaiting = () => {
    if (portFd === undefined) return;
    try {
      while (waiting.length > 0) waiting = waiting.subarray(writeSync(portFd, waiting));
    } catch (error) {
      // EAGAIN: the host does not read yet. Anything else: the port has failed for good.
      if ((error as NodeJS.ErrnoException).code !== "EAGAIN") portFd = undefined;
    }
  };

  return {
    emit(written: EventBody) {
      const body = clean(written);
      const line = formatEventLine({ v: 1, seq: seq++, uptimeMs: readUptimeMs(), ...body });
      onLine(line);
      waiting = Buffer.concat([waiting, Buffer.from(line)]);
      sendWaiting();
      for (const follower of followers) follower(body);
    },
    /** Calls back for every event from now on, after it is written. */
    follow: (follower: (body: EventBody) => void) => void followers.push(follower),
    /** Opens the host's port if the machine has one; true when it does. */
    attachPort() {
      const device = findEventPort();
      if (!device) return false;
      portFd = openSync(device, constants.O_WRONLY | constants.O_NONBLOCK);
      sendWaiting();
      return true;
    },
    /** Sends what is still buffered, for a bounded time. */
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

/** From sysfs, as there is no udev that makes /dev/virtio-ports/NAME. */
function findEventPort(): string | undefined {
  const folder = "/sys/class/virtio-ports";
  try {
    const port = readdirSync(folder).find((each) => readName(`${folder}/${each}/name`) === EVENT_PORT_NAME);
    return port && `/dev/${port}`;
  } catch {
    return undefined; // no virtio-serial bus on this machine
  }
}

/** undefined for a console on the same bus, and for a port that has just appeared. */
function readName(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8").trim();
  } catch {
    return undefined;
  }
}
