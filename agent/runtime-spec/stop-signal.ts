/**
 * Parses podman's --stop-signal: a signal's name or number, as in signal(7).
 * x86_64 and arm64 have the same numbers; real-time signals are numbered as in glibc.
 */
import { createSettingError } from "./setting-error.ts";

const NAMES = (
  "HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT CHLD CONT STOP TSTP TTIN TTOU URG XCPU " +
  "XFSZ VTALRM PROF WINCH IO PWR SYS"
).split(" ");
const RTMIN = 34;
const RTMAX = 64;

/** systemd halts on it (systemd.io/CONTAINER_INTERFACE). */
export const SIGRTMIN_3 = RTMIN + 3;
export const SIGTERM = 15;

/** `SIGINT`, `int`, `2`, `SIGRTMIN+3`. Throws RUN_BAD_SETTING. */
export function parseSignal(text: string): number {
  const name = text.toUpperCase().replace(/^SIG/, "");
  const [, base, offset = "0"] = /^(RTMIN|RTMAX)([+-]\d+)?$/.exec(name) ?? [];
  const isNumber = /^\d+$/.test(name);
  let number = isNumber ? Number(name) : NAMES.indexOf(name) + 1;
  if (base) number = (base === "RTMIN" ? RTMIN : RTMAX) + Number(offset);
  if (number < 1 || number > RTMAX || (base && number < RTMIN))
    throw createSettingError(`Cannot stop a container with "${text}": it is not a signal`);
  return number;
}
