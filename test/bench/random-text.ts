/**
 * Text from a seed that compresses about as well as source code: words of a vocabulary, some more frequent than others.
 */
import { createHash } from "node:crypto";

/** In [0, 1). */
export type Random = () => number;

export interface TextSource {
  random: Random;
  /** Exactly this many bytes of ASCII. */
  write(sizeBytes: number): string;
}

const VOCABULARY_WORDS = 6_000;
const LETTERS = "etaoinshrdlucmfwypvbgkjqxz";
const ENDS = [" ", " ", " ", " ", ".", "(", ") ", " = ", ";\n  ", ";\n", ", "];

/** xorshift128 on a hashed seed: the same everywhere and fast. */
export function createRandom(seed: string): Random {
  const hash = createHash("sha256").update(seed).digest();
  let [a, b, c, d] = [0, 4, 8, 12].map((at) => hash.readInt32LE(at)) as [number, number, number, number];
  return () => {
    let t = d;
    const s = a;
    d = c;
    c = b;
    b = s;
    t ^= t << 11;
    t ^= t >>> 8;
    a = t ^ s ^ (s >>> 19);
    return (a >>> 0) / 2 ** 32;
  };
}

const VOCABULARY = makeVocabulary();

export function createTextSource(seed: string): TextSource {
  const random = createRandom(seed);
  const pick = <Item>(items: readonly Item[], share: number) => items[Math.floor(share * items.length)]!;
  return {
    random,
    write(sizeBytes) {
      const parts: string[] = [];
      for (let length = 0; length < sizeBytes; ) {
        // Cubed: a few words make most of a text.
        const part = pick(VOCABULARY, random() ** 3) + pick(ENDS, random());
        parts.push(part);
        length += part.length;
      }
      return parts.join("").slice(0, sizeBytes);
    },
  };
}

function makeVocabulary(): string[] {
  const random = createRandom("vocabulary");
  return Array.from({ length: VOCABULARY_WORDS }, () => {
    const length = 2 + Math.floor(random() * 9);
    return Array.from({ length }, () => LETTERS[Math.floor(random() ** 2 * LETTERS.length)]).join("");
  });
}
