/**
 * The machine's clock: never earlier than the build, then set from the farm's NTP servers.
 * A board without a battery starts in 1970, when every certificate is "not yet valid" (ignition#870, fedora-coreos-tracker#1323).
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { MachineSettings } from "../../job/machine-settings.ts";
import { setClock } from "../../kernel/machine.ts";
import { NTP_PEER_TRIES, NTP_WAIT_MS } from "../limits.ts";
import type { SysLog } from "../sys-log.ts";
import { type NtpQueryOptions, queryTime } from "./ntp.ts";

export interface ClockDoors {
  log: SysLog;
  /** Milliseconds since 1970. */
  readNow?: () => number;
  setNow?: (epochMs: number) => void;
}

/** Sets a clock that is earlier than the agent's build to the time of the build; true when it did. */
export function setClockFloor(buildTimeMs: number, doors: ClockDoors): boolean {
  const { log, readNow = Date.now, setNow = setClock } = doors;
  const nowMs = readNow();
  if (nowMs >= buildTimeMs) return false;
  try {
    setNow(buildTimeMs);
  } catch (error) {
    log.warn(
      `clock: at ${formatTime(nowMs)}, earlier than this agent's build, and cannot be set: ${(error as Error).message}`,
    );
    return false;
  }
  log.info(`clock: was at ${formatTime(nowMs)}, set to the time of the build, ${formatTime(buildTimeMs)}`);
  return true;
}

export interface ClockOptions extends ClockDoors, NtpQueryOptions {
  /** Earlier times are not accepted. */
  buildTimeMs: number;
  /** How often all servers are asked, each time for `waitMs`. */
  tries?: number;
}

/** The server of `auto`. */
const PUBLIC_POOL = "pool.ntp.org";

/** Which servers to ask, and how often: the job's peer, else those that the network offers. */
export function chooseTimeServers(
  setting: MachineSettings["ntp"],
  offered: readonly string[],
): { servers: readonly string[]; tries: number } {
  if (setting === undefined) return { servers: offered, tries: 1 };
  if (setting === "none") return { servers: [], tries: 1 };
  return { servers: [setting === "auto" ? PUBLIC_POOL : setting.host], tries: NTP_PEER_TRIES };
}

export interface ClockState {
  /** `own`: the machine's clock, unchanged. */
  source: "ntp" | "build" | "own";
  server?: string;
  /** What was added to the clock. */
  offsetMs?: number;
}

/** A failure is logged, and the boot continues with the clock as it is. */
export async function syncClock(ntpServers: readonly string[], options: ClockOptions): Promise<ClockState> {
  const { log, buildTimeMs, readNow = Date.now, setNow = setClock } = options;
  const isFloor = readNow() - buildTimeMs < FLOOR_WINDOW_MS;
  const fallback: ClockState = { source: isFloor ? "build" : "own" };
  const current = () =>
    `${formatTime(readNow())} by ${isFloor ? "the time of the build" : "the machine's own clock"}`;
  if (ntpServers.length === 0) {
    log.info(`clock: ${current()}; there is no time server to ask`);
    return fallback;
  }
  const answer = await askRepeatedly(ntpServers, options);
  if ("refusals" in answer) {
    log.warn(`clock: ${current()}; no time from ${answer.refusals.join("; ")}`);
    return fallback;
  }
  const { server, offsetMs } = answer;
  const nowMs = readNow() + offsetMs;
  if (nowMs < buildTimeMs) {
    log.warn(`clock: not changed: ${server} answers ${formatTime(nowMs)}, earlier than this agent's build`);
    return fallback;
  }
  try {
    setNow(nowMs);
  } catch (error) {
    log.warn(`clock: cannot be set to ${server}'s time: ${(error as Error).message}`);
    return fallback;
  }
  const offset = `${(Math.abs(offsetMs) / 1000).toFixed(3)} s ${offsetMs < 0 ? "fast" : "slow"}`;
  log.info(`clock: ${formatTime(nowMs)} by NTP from ${server}, it was ${offset}`);
  return { source: "ntp", server, offsetMs };
}

/** A name that does not resolve fails at once; it is retried at the same pace as a silent server. */
async function askRepeatedly(servers: readonly string[], options: ClockOptions) {
  const { tries = 1, waitMs = NTP_WAIT_MS, signal } = options;
  for (let left = tries; ; left--) {
    const startedAt = performance.now();
    const answer = await queryTime(servers, options);
    if (!("refusals" in answer) || left <= 1) return answer;
    await sleep(Math.max(0, waitMs - (performance.now() - startedAt)), undefined, { signal });
  }
}

/** A boot's length: within it, a clock near the build's time was set by `setClockFloor`. */
const FLOOR_WINDOW_MS = 10 * 60_000;

function formatTime(epochMs: number): string {
  return new Date(epochMs).toISOString().replace(/\.\d+Z$/, "Z");
}
