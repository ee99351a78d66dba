/**
 * Milliseconds since the kernel started: the clock of log lines and events, which no NTP server moves.
 * CLOCK_MONOTONIC, which Linux counts from boot.
 */
export function readUptimeMs(): number {
  return Math.round(Number(process.hrtime.bigint() / 1000n) / 1000);
}
