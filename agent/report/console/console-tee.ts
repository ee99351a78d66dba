/**
 * What people look at: the console and the log's copy over the network, as one. It knows how long nobody has seen anything new.
 */

import type { NetworkLog } from "../network-log/network-log.ts";
import type { Console } from "./console.ts";

export interface ConsoleTee extends Console {
  /** Since the last line or output. */
  readSilenceMs(): number;
  /** Nothing can be shown after it. */
  close(): Promise<void>;
}

/** `clean`: takes secrets out of our lines; the test's output comes without them (agent/wiring/job-adapters.ts). */
export function createConsoleTee(
  console_: Console,
  networkLog: NetworkLog,
  { clean }: { clean: (line: string) => string },
): ConsoleTee {
  let seenAt = performance.now();
  return {
    line(written) {
      const text = clean(written);
      seenAt = performance.now();
      console_.line(text);
      networkLog.line(text);
    },
    output(chunk) {
      seenAt = performance.now();
      console_.output(chunk);
      networkLog.output(chunk);
    },
    beginOutput: console_.beginOutput,
    endOutput() {
      console_.endOutput();
      networkLog.endOutput();
    },
    flush: console_.flush,
    readSilenceMs: () => performance.now() - seenAt,
    async close() {
      await Promise.all([console_.flush(), networkLog.close()]);
    },
  };
}
