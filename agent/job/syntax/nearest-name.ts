/**
 * Finds the known name that is nearest to a misspelled one, by restricted Damerau-Levenshtein distance.
 */

/** Longer than any known name; the algorithm is quadratic. */
const COMPARED_MAX_LENGTH = 64;

/** Of equally near names the first. Undefined if more than `maxShare` of its letters would have to change. */
export function findNearestName(
  wrong: string,
  known: readonly string[],
  { maxShare = Number.POSITIVE_INFINITY }: { maxShare?: number } = {},
): string | undefined {
  const [best] = known
    .map((name) => ({ name, distance: measureDistance(wrong.slice(0, COMPARED_MAX_LENGTH), name) }))
    .sort((a, b) => a.distance - b.distance);
  if (!best) return undefined;
  return best.distance <= Math.max(1, best.name.length * maxShare) ? best.name : undefined;
}

function measureDistance(a: string, b: string): number {
  const rows: number[][] = [Array.from({ length: b.length + 1 }, (_, column) => column)];
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const isSame = a[i - 1] === b[j - 1];
      let cost = Math.min(rows[i - 1]![j]! + 1, row[j - 1]! + 1, rows[i - 1]![j - 1]! + (isSame ? 0 : 1));
      const isSwap = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      if (isSwap) cost = Math.min(cost, rows[i - 2]![j - 2]! + 1);
      row.push(cost);
    }
    rows.push(row);
  }
  return rows[a.length]![b.length]!;
}
