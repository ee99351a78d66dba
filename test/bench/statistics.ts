/**
 * Median and spread of a few runs.
 */

export interface Spread {
  median: number;
  min: number;
  max: number;
}

export function measureSpread(values: readonly number[]): Spread {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  const median =
    sorted.length % 2 === 1 ? sorted[Math.floor(middle)]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
  return { median, min: sorted[0]!, max: sorted.at(-1)! };
}

/** `2.31 (2.02–2.90)`; one value is printed alone. */
export function formatSpread({ median, min, max }: Spread, digits = 2): string {
  const format = (value: number) => value.toFixed(digits);
  return min === max ? format(median) : `${format(median)} (${format(min)}–${format(max)})`;
}
