/**
 * Counts as people read them, the same in logs and on pages: `12,345`. `toLocaleString` would do the same, and load the
 * rules of its language for 15 ms in the middle of a pull.
 */
export function formatCount(count: number): string {
  return String(count).replace(/\B(?=(\d{3})+$)/g, ",");
}
