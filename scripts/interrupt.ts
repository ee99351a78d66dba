/**
 * Ctrl-C, SIGTERM and a closed terminal as one AbortSignal, so that whoever holds something lets go of it in order.
 * A stop that itself hangs is cut short: processes of ours die with us (qemu/owned-process.ts).
 */
import { EXIT_CODE_STOPPED } from "../qemu/boot-dut.ts";

const STOP_MAX_MS = 8_000;

/** The reason of the signal that `catchInterrupts` gives. */
export class InterruptError extends Error {}

/** Aborts at the first of the signals; the process ends by itself once everything has stopped. */
export function catchInterrupts(): AbortSignal {
  const controller = new AbortController();
  for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    // `on`, not `once`: npm passes on the Ctrl-C that the terminal has sent us already.
    process.on(name, () => {
      if (controller.signal.aborted) return;
      controller.abort(new InterruptError(`Stopped by ${name}`));
      setTimeout(() => process.exit(EXIT_CODE_STOPPED), STOP_MAX_MS).unref();
    });
  }
  return controller.signal;
}

/** Rejects with the signal's reason as soon as it aborts, even if `work` cannot be stopped. */
export async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted();
  const aborted = Promise.withResolvers<never>();
  const onAbort = () => aborted.reject(signal.reason);
  signal.addEventListener("abort", onAbort);
  try {
    return await Promise.race([work, aborted.promise]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}
