/**
 * The machine's clock: never earlier than the build, then what the farm's NTP servers say.
 * A board without a battery wakes up in 1970, where every certificate is "not yet valid" (ignition#870, fedora-coreos-tracker#1323).
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { MachineSettings } from "../../job/machine-settings.ts";
import { setClock } from "../../kernel/machine.ts";
import { NTP_PEER_TRIES, NTP_WAIT_MS } from "../limits.ts";
import type { SysLog } from "../sys-log.ts";
import { type NtpQueryOptions, queryTime } from "./ntp-query.ts";

export interface ClockDoors {
  log: SysLog;
  /** Milliseconds since 1970. */
  readNow?: () => number;
  setNow?: (epochMs: number) => void;
}

/** Sets a clock that is behind the agent's own build to the build's time; tells whether it had to. */
export function setClockFloor(buildTimeMs: number, doors: ClockDoors): boolean {
  const { log, readNow = Date.now, setNow = setClock } = doors;
  const nowMs = readNow();
  if (nowMs >= buildTimeMs) return false;
  try {
    setNow(buildTimeMs);
  } catch (error) {
    log.warn(
      `clock: at ${formatTime(nowMs)}, before this agent was built, and cannot be set: ${(error as Error).message}`,
    );
    return false;
  }
  log.info(`clock: was at ${formatTime(nowMs)}, set to the time of the build, ${formatTime(buildTimeMs)}`);
  return true;
}

export interface ClockOptions extends ClockDoors, NtpQueryOptions {
  /** No time before this is believed. */
  buildTimeMs: number;
  /** How often all servers are asked, each time for `waitMs`. */
  tries?: number;
}

/** Where `auto` asks. */
const PUBLIC_POOL = "pool.ntp.org";

/** Whom to ask, and how often: the job's peer where it names one, else those that the network offers. */
export function chooseTimeServers(
  wish: MachineSettings["ntp"],
  offered: readonly string[],
): { servers: readonly string[]; tries: number } {
  if (wish === undefined) return { servers: offered, tries: 1 };
  if (wish === "none") return { servers: [], tries: 1 };
  return { servers: [wish === "auto" ? PUBLIC_POOL : wish.host], tries: NTP_PEER_TRIES };
}

export interface ClockState {
  /** `own` is the machine's clock, left as it was. */
  source: "ntp" | "build" | "own";
  server?: string;
  /** What was added to the clock. */
  offsetMs?: number;
}

/** Never throws for a server: a clock that could not be set is told, and the boot goes on. */
export async function syncClock(ntpServers: readonly string[], options: ClockOptions): Promise<ClockState> {
  const { log, buildTimeMs, readNow = Date.now, setNow = setClock } = options;
  const isFloor = readNow() - buildTimeMs < FLOOR_WINDOW_MS;
  const fallback: ClockState = { source: isFloor ? "build" : "own" };
  if (ntpServers.length === 0) {
    log.info(`clock: ${formatTime(readNow())} by ${formatSource(fallback)}; there is no time server to ask`);
    return fallback;
  }
  const answer = await askRepeatedly(ntpServers, options);
  if ("refusals" in answer) {
    log.warn(
      `clock: ${formatTime(readNow())} by ${formatSource(fallback)}; no time from ${answer.refusals.join("; ")}`,
    );
    return fallback;
  }
  const { server, offsetMs } = answer;
  const nowMs = readNow() + offsetMs;
  if (nowMs < buildTimeMs) {
    log.warn(`clock: left alone: ${server} says ${formatTime(nowMs)}, before this agent was built`);
    return fallback;
  }
  try {
    setNow(nowMs);
  } catch (error) {
    log.warn(`clock: cannot be set to ${server}'s time: ${(error as Error).message}`);
    return fallback;
  }
  log.info(`clock: ${formatTime(nowMs)} by NTP from ${server}, it was ${formatOffset(offsetMs)}`);
  return { source: "ntp", server, offsetMs };
}

/** A name that cannot be resolved yet is refused at once; its try lasts as long as that of a silent server. */
async function askRepeatedly(servers: readonly string[], options: ClockOptions) {
  const { tries = 1, waitMs = NTP_WAIT_MS, signal } = options;
  for (let left = tries; ; left--) {
    const startedAt = performance.now();
    const answer = await queryTime(servers, options);
    if (!("refusals" in answer) || left <= 1) return answer;
    await sleep(Math.max(0, waitMs - (performance.now() - startedAt)), undefined, {
      signal,
    });
  }
}

/** Of a boot: within it a clock near the floor is the floor that `setClockFloor` set. */
const FLOOR_WINDOW_MS = 10 * 60_000;

function formatSource({ source }: ClockState): string {
  return source === "build" ? "the time of the build" : "the machine's own clock";
}

function formatOffset(offsetMs: number): string {
  const seconds = `${(Math.abs(offsetMs) / 1000).toFixed(3)} s`;
  return offsetMs < 0 ? `${seconds} fast` : `${seconds} slow`;
}

function formatTime(epochMs: number): string {
  return new Date(epochMs).toISOString().replace(/\.\d+Z$/, "Z");
}
