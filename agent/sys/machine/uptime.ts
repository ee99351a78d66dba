/**
 * Milliseconds since the kernel started, for log lines and events: CLOCK_MONOTONIC, which NTP does not set.
 */
export function readUptimeMs(): number {
  return Math.round(Number(process.hrtime.bigint() / 1000n) / 1000);
}
