/**
 * Finds any of some byte strings in bytes, by the shifts of Wu and Manber ("A fast algorithm for multi-pattern searching", 1994):
 * the search leaps as far as the shortest one allows, so that output without secrets costs next to nothing.
 */

export interface SecretMatcher {
  /** Where the leftmost, longest ones stand, in order and without overlaps. */
  find(bytes: Buffer): { start: number; end: number }[];
  /** How many of the last bytes, from `from` on, may be the beginning of one. */
  countOpen(bytes: Buffer, from: number): number;
}

/** Each at least two bytes long, and at least one of them. */
export function createSecretMatcher(needles: readonly Buffer[]): SecretMatcher {
  const window = Math.min(...needles.map(({ length }) => length), 256);
  const longest = Math.max(...needles.map(({ length }) => length));
  const shifts = new Uint8Array(0x10000).fill(window - 1);
  const byBlock = new Map<number, Buffer[]>();
  const byFirst: (Buffer[] | undefined)[] = Array.from({ length: 256 });
  /** Of bytes: whether any of them holds it. A line end mostly ends the search for an open one. */
  const isUsed = new Uint8Array(256);
  for (const needle of needles) {
    for (let at = 0; at <= window - 2; at++) {
      const block = (needle[at]! << 8) | needle[at + 1]!;
      shifts[block] = Math.min(shifts[block]!, window - 2 - at);
    }
    const last = (needle[window - 2]! << 8) | needle[window - 1]!;
    byBlock.set(
      last,
      [...(byBlock.get(last) ?? []), needle].sort((a, b) => b.length - a.length),
    );
    for (const byte of needle) isUsed[byte] = 1;
    byFirst[needle[0]!] = [...(byFirst[needle[0]!] ?? []), needle];
  }
  return {
    find(bytes) {
      const found: { start: number; end: number }[] = [];
      for (let at = 0; at + window <= bytes.length; ) {
        const block = (bytes[at + window - 2]! << 8) | bytes[at + window - 1]!;
        const shift = shifts[block]!;
        if (shift > 0) {
          at += shift;
          continue;
        }
        const start = at;
        const needle = byBlock
          .get(block)
          ?.find((each) => start + each.length <= bytes.length && agrees(each, bytes, start, each.length));
        if (needle) found.push({ start, end: start + needle.length });
        at += needle ? needle.length : 1;
      }
      return found;
    },
    countOpen(bytes, from) {
      const first = Math.max(from, bytes.length - longest + 1, 0);
      let at = bytes.length;
      while (at > first && isUsed[bytes[at - 1]!] === 1) at--;
      for (; at < bytes.length; at++) {
        const rest = bytes.length - at;
        const candidates = byFirst[bytes[at]!];
        if (candidates?.some((needle) => needle.length > rest && agrees(needle, bytes, at, rest)))
          return rest;
      }
      return 0;
    },
  };
}

/** Most differ in the first bytes: a loop is cheaper than a call. */
function agrees(needle: Buffer, bytes: Buffer, at: number, length: number): boolean {
  for (let index = 0; index < length; index++) if (needle[index] !== bytes[at + index]) return false;
  return true;
}
