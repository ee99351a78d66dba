/**
 * Matches the lines of two texts in order, by patience diff (Bram Cohen): first the lines that occur once in both texts, then the
 * lines in each gap between them, recursively. Repeated lines are matched from both ends of a gap, and then from its start.
 */

/** `[index in a, index in b]`, both ascending. */
export type Match = readonly [number, number];

interface Gap {
  aFrom: number;
  aTo: number;
  bFrom: number;
  bTo: number;
}

/** Lines match where their keys are equal; undefined matches nothing. */
export function alignLines(a: readonly (string | undefined)[], b: readonly (string | undefined)[]): Match[] {
  const matches: Match[] = [];
  const gaps: Gap[] = [{ aFrom: 0, aTo: a.length, bFrom: 0, bTo: b.length }];
  for (let gap = gaps.pop(); gap; gap = gaps.pop()) {
    let { aFrom, aTo, bFrom, bTo } = gap;
    while (aFrom < aTo && bFrom < bTo && isSame(a[aFrom], b[bFrom])) matches.push([aFrom++, bFrom++]);
    while (aFrom < aTo && bFrom < bTo && isSame(a[aTo - 1], b[bTo - 1])) matches.push([--aTo, --bTo]);
    if (aFrom === aTo || bFrom === bTo) continue;
    const rest = { aFrom, aTo, bFrom, bTo };
    const anchors = findAnchors(a, b, rest);
    if (anchors.length === 0) {
      matches.push(...matchFromFront(a, b, rest));
      continue;
    }
    for (const [aAt, bAt] of [...anchors, [aTo, bTo] as const]) {
      gaps.push({ aFrom, aTo: aAt, bFrom, bTo: bAt });
      if (aAt < aTo) matches.push([aAt, bAt]);
      aFrom = aAt + 1;
      bFrom = bAt + 1;
    }
  }
  return matches.sort(([one], [other]) => one - other);
}

const isSame = (one: string | undefined, other: string | undefined) => one !== undefined && one === other;

/** The longest ascending sequence of lines that occur once in each text. */
function findAnchors(
  a: readonly (string | undefined)[],
  b: readonly (string | undefined)[],
  { aFrom, aTo, bFrom, bTo }: Gap,
): Match[] {
  const occurrences = new Map<string, { a: number; b: number; aCount: number; bCount: number }>();
  for (let at = aFrom; at < aTo; at++) {
    const key = a[at];
    if (key === undefined) continue;
    const occurrence = occurrences.get(key);
    if (occurrence) occurrence.aCount++;
    else occurrences.set(key, { a: at, b: -1, aCount: 1, bCount: 0 });
  }
  for (let at = bFrom; at < bTo; at++) {
    const key = b[at];
    const occurrence = key === undefined ? undefined : occurrences.get(key);
    if (!occurrence) continue;
    occurrence.b = at;
    occurrence.bCount++;
  }
  const pairs = [...occurrences.values()].filter(({ aCount, bCount }) => aCount === 1 && bCount === 1);
  return findLongestAscending(
    pairs.sort((one, other) => one.a - other.a).map((pair): Match => [pair.a, pair.b]),
  );
}

/** The longest ascending subsequence by the second index; the pairs are sorted by the first. */
function findLongestAscending(pairs: readonly Match[]): Match[] {
  /** Index of the pair that ends the best sequence of each length. */
  const ends: number[] = [];
  const before: number[] = [];
  pairs.forEach(([, b], index) => {
    let low = 0;
    for (let high = ends.length; low < high; ) {
      const middle = (low + high) >> 1;
      if (pairs[ends[middle]!]![1] < b) low = middle + 1;
      else high = middle;
    }
    before[index] = low > 0 ? ends[low - 1]! : -1;
    ends[low] = index;
  });
  const rising: Match[] = [];
  for (let index = ends.at(-1) ?? -1; index !== -1; index = before[index]!) rising.push(pairs[index]!);
  return rising.reverse();
}

/** Matches each line of `a` with the next equal line of `b`. */
function matchFromFront(
  a: readonly (string | undefined)[],
  b: readonly (string | undefined)[],
  { aFrom, aTo, bFrom, bTo }: Gap,
): Match[] {
  const occurrences = new Map<string, number[]>();
  for (let at = bFrom; at < bTo; at++) {
    const key = b[at];
    if (key === undefined) continue;
    const known = occurrences.get(key);
    if (known) known.push(at);
    else occurrences.set(key, [at]);
  }
  const used = new Map<string, number>();
  const matches: Match[] = [];
  let next = bFrom;
  for (let at = aFrom; at < aTo; at++) {
    const key = a[at];
    const list = key === undefined ? undefined : occurrences.get(key);
    if (!list) continue;
    let index = used.get(key!) ?? 0;
    while (index < list.length && list[index]! < next) index++;
    used.set(key!, index);
    if (index === list.length) continue;
    matches.push([at, list[index]!]);
    next = list[index]! + 1;
  }
  return matches;
}
