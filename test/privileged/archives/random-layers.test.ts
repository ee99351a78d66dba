/** Layers of members at random that contradict each other: both root drivers give the same tree, or the same error. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { buildTar, type Member } from "../../unit/archive/tar-builder.ts";
import { createRandom, type Random } from "../../unit/composefs/random-tree.ts";
import { createScratch, type Scratch } from "../root/scratch.ts";
import { type Answer, unpackLayersByBoth } from "./our-paths.ts";

const ROUNDS = Number(process.env.FUZZ_ROUNDS ?? 80);

let scratch: Scratch;
beforeAll(() => {
  scratch = createScratch("size=1g,mode=0755");
});
afterAll(() => scratch.close());

const PATHS = ["a", "b", "a/b", "a/c", "b/a", "a/b/c", "l", "l/x", "a/l", "a/l/x", "a/../b"];
const MARKS = [
  ".wh.a",
  "a/.wh.b",
  "a/.wh..wh..opq",
  "l/.wh.x",
  ".wh.l",
  "b/.wh..wh..opq",
  "a/b/.wh.c",
  ".wh..wh..opq",
];
const TARGETS = ["a", "b", "/a", "..", "nowhere", "l", "a/b", "../b", "b/a", "."];

function makeMember(random: Random, isUpper: boolean, number: number): Member {
  const pick = <T>(list: readonly T[]) => list[random(list.length)]!;
  const path = pick(PATHS);
  const facts = { path, mode: 0o700 + random(64), mtime: 1000 + number, uid: number };
  const kind = random(isUpper ? 13 : 10);
  if (kind < 3) return { ...facts, type: "directory", path: random(8) === 0 ? "./" : path };
  if (kind < 6) return { ...facts, content: `${number}` };
  if (kind < 8) return { ...facts, type: "symlink", linkPath: pick(TARGETS) };
  if (kind < 9) return { ...facts, type: "hardlink", linkPath: pick([...PATHS, ...TARGETS]) };
  if (kind < 10) return { ...facts, type: "fifo" };
  return { path: pick(MARKS), content: "" };
}

/** composefs counts the names that are left, overlayfs those in the layer. */
function countNoLinks(answer: Answer): Answer {
  return Array.isArray(answer) ? answer.map((line) => line.replace(/ links=\d+/, "")) : answer;
}

it(`${ROUNDS} images are the same with both`, async () => {
  let trees = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const random = createRandom(round);
    const layers = Array.from({ length: 1 + random(3) }, (_, layer) =>
      Array.from({ length: 2 + random(5) }, (_, number) =>
        makeMember(random, layer > 0, 10 * layer + number),
      ),
    );
    const tars = layers.map((members) => buildTar(members));
    const [overlay, composefs] = await unpackLayersByBoth(tars, scratch);
    const shown = layers.map((members) =>
      members.map(({ path, type = "file", linkPath = "" }) => `${type} ${path} ${linkPath}`),
    );
    // Of several faults, composefs reports those of headers first.
    const areBothRefused = typeof overlay === "string" && typeof composefs === "string";
    const inOne = (answer: Answer) => (layers.length > 1 ? countNoLinks(answer) : answer);
    if (!areBothRefused)
      expect(inOne(composefs), `round ${round}: ${JSON.stringify(shown)}`).toEqual(inOne(overlay));
    if (Array.isArray(overlay)) trees++;
  }
  // Most must not be refused, else nothing would be compared.
  expect(trees).toBeGreaterThan(ROUNDS / 3);
});
