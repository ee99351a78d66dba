/**
 * Turns Ctrl-C, SIGTERM and a closed terminal into one AbortSignal, so that everything is cleaned up in order.
 * If the clean-up takes too long, the process exits and its children die with it (qemu/owned-process.ts).
 */
import { EXIT_CODE_STOPPED } from "../qemu/boot-dut.ts";

const STOP_MAX_MS = 8_000;

/** The abort reason of `catchInterrupts`. */
export class InterruptError extends Error {}

/** Aborts at the first of the signals. The process exits when everything has stopped. */
export function catchInterrupts(): AbortSignal {
  const controller = new AbortController();
  for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    // `on`, not `once`: npm forwards the Ctrl-C that the terminal has sent to us too.
    process.on(name, () => {
      if (controller.signal.aborted) return;
      controller.abort(new InterruptError(`Stopped by ${name}`));
      setTimeout(() => process.exit(EXIT_CODE_STOPPED), STOP_MAX_MS).unref();
    });
  }
  return controller.signal;
}

/** Rejects with the signal's reason when it aborts, even if `work` continues. */
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
