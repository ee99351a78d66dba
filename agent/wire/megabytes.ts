/**
 * Sizes as people read them in logs, the same on the DUT and on the host: decimal megabytes, as networks and disks are sold.
 */
export function formatMegabytes(bytes: number): string {
  return (bytes / 1e6).toFixed(1);
}
