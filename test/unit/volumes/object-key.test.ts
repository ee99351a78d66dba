import { resolve } from "node:path";
import { expect, test } from "vitest";
import { findPathFault, formatKeyPrefix, matchesPattern } from "../../../agent/volumes/object-bucket.ts";

test.each([
  ["a", true],
  ["a/b.txt", true],
  ["empty/", true],
  ["..a/b..", true],
  ["ü €/\n\t", true],
  ["-rf", true],
  [`${"a".repeat(255)}/b`, true],
  ["", false],
  ["/", false],
  ["/etc/passwd", false],
  ["../x", false],
  ["a/../../x", false],
  ["a/..", false],
  ["..", false],
  [".", false],
  ["./a", false],
  ["a//b", false],
  ["a//", false],
  ["a\0b", false],
  ["a".repeat(256), false],
  ["ü".repeat(128), false],
  ["\ud800", false],
  [".dutboot-part.1/a", false],
])("the key %j may become a path: %s", (key, may) => {
  expect(findPathFault(key) === undefined).toBe(may);
});

test("no valid key is a path outside of its directory", () => {
  const parts = ["..", ".", "", "a", "/", "//", "\0", "…", "a..", "../", "./"];
  for (let seed = 0; seed < 20_000; seed++) {
    let key = "";
    for (let rest = seed; rest > 0; rest = Math.floor(rest / parts.length)) key += parts[rest % parts.length];
    if (findPathFault(key) !== undefined) continue;
    expect(resolve("/root", key)).toBe(`/root/${key.replace(/\/$/, "")}`);
  }
});

// What minio/pkg/wildcard's Match answers.
test.each([
  ["*", "", true],
  ["*", "a/b/c", true],
  ["*.log", "a/b.log", true],
  ["*.log", "a/b.log.gz", false],
  ["tmp/*", "tmp/a/b", true],
  ["tmp/*", "a/tmp/b", false],
  ["*/tmp/*", "a/tmp/b", true],
  ["a?c", "abc", true],
  ["a?c", "a/c", true],
  ["a?c", "ac", false],
  ["a?", "a", false],
  ["a", "a/b", false],
  ["", "", true],
  ["", "a", false],
  ["a**b", "ab", true],
  ["*a*a*a", "aaaa", true],
  ["[ab]", "a", false],
  ["a.c", "abc", false],
])("the pattern %j on %j: %s", (pattern, text, matches) => {
  expect(matchesPattern(pattern, text)).toBe(matches);
});

test("a pattern of many stars is fast", () => {
  const startedMs = performance.now();
  expect(matchesPattern(`${"*a".repeat(30)}b`, "a".repeat(2_000))).toBe(false);
  expect(performance.now() - startedMs).toBeLessThan(1_000);
});

test.each([
  ["", ""],
  ["a", "a/"],
  ["/a//b/", "a/b/"],
])("the prefix %j is %j before keys", (prefix, formatted) => {
  expect(formatKeyPrefix(prefix)).toBe(formatted);
});
