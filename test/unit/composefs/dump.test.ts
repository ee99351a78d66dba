/**
 * What a composefs-dump may say, and what is refused with the line and the code.
 * Cases are data; those named after upstream assets are their gist (composefs, tests/assets).
 */

import { describe, expect, test } from "vitest";
import { writeErofsImage } from "../../../agent/composefs/erofs-image.ts";
import { AgentError } from "../../../agent/errors.ts";
import { parseDump } from "../../../scripts/composefs-dump/dump-parser.ts";
import { writeDump } from "../../../scripts/composefs-dump/dump-writer.ts";

const ROOT = "/ 4096 40755 2 0 0 0 0.0 - - -";
const parse = (...lines: string[]) => parseDump(Buffer.from(`${lines.join("\n")}\n`, "latin1"));
const DIGEST = "a".repeat(64);

describe("a dump", () => {
  test("keeps every byte of names, targets, contents and xattrs", () => {
    const root = parse(
      ROOT,
      "/\\xff\\x01\\n\\\\\\t\\r\\x20=- 0 120777 1 0 0 0 0.0 to\\x20\\xfe - -",
      "/- 2 100644 1 0 0 0 0.0 - \\x00\\xff - user.a\\x3d=\\x00\\x3d\\xff user.empty=",
    );
    const odd = root.children!.get("\xff\x01\n\\\t\r =-")!;
    expect(odd.payload).toBe("to \xfe");
    const dash = root.children!.get("-")!;
    expect(dash.content).toEqual(Buffer.from([0, 255]));
    expect(dash.xattrs!.get("user.a=")).toEqual(Buffer.from([0, 0x3d, 0xff]));
    expect(dash.xattrs!.get("user.empty")).toEqual(Buffer.alloc(0));
    const text = [...writeDump(root)].join("");
    expect(text).toMatch(/^[\x21-\x7e\n ]+$/);
    expect([...writeDump(parseDump(Buffer.from(text)))].join("")).toBe(text);
  });

  test("has absent fields by a dash, and a dash by an escape", () => {
    const root = parse(ROOT, "/a 1 100644 1 0 0 0 0.0 - \\x2d -", "/b 9 100644 1 0 0 0 0.0 \\x2d - -");
    expect(root.children!.get("a")!.content).toEqual(Buffer.from("-"));
    expect(root.children!.get("b")!.payload).toBe("-");
    expect(root.children!.get("b")!.content).toBeUndefined();
  });

  test("counts time in whole nanoseconds, before 1970 too", () => {
    const mtimeOf = (text: string) => {
      const { mtimeSec, mtimeNsec } = parse(ROOT, `/a 0 100644 1 0 0 0 ${text} - - -`).children!.get("a")!;
      return [mtimeSec, mtimeNsec];
    };
    expect(mtimeOf("1.5")).toEqual([1, 5]);
    expect(mtimeOf("-7.1")).toEqual([-7, 1]);
    expect(mtimeOf("18446744073709551615.0")).toEqual([-1, 0]);
    expect(mtimeOf("9223372036854775807.999999999")).toEqual([2n ** 63n - 1n, 999_999_999]);
  });

  test("may name a hard link before its target, and link to a link", () => {
    const root = parse(
      ROOT,
      "/a 0 @100644 0 0 0 0 0.0 /z - -",
      "/b 0 @100644 0 0 0 0 0.0 /a - -",
      "/z 3 100644 3 0 0 0 0.0 - abc -",
    );
    const target = root.children!.get("z")!;
    expect(root.children!.get("a")).toBe(target);
    expect(root.children!.get("b")).toBe(target);
    expect(target.home).toEqual({ directory: root, name: "z" });
  });

  test("may end without a newline, with spaces behind a line, and repeat an xattr", () => {
    const root = parseDump(Buffer.from(`${ROOT} user.a=1 user.a=2 `));
    expect(root.xattrs).toEqual(new Map([["user.a", Buffer.from("2")]]));
  });
});

const FIELD = "COMPOSEFS_DUMP_FIELD";
const PATH = "COMPOSEFS_DUMP_PATH";
const ESCAPE = "COMPOSEFS_DUMP_ESCAPE";
const HARDLINK = "COMPOSEFS_DUMP_HARDLINK";
const file = (path: string, rest = "0 0 0 0.0 - - -") => `${path} 0 100644 1 ${rest}`;

const BAD: [string, string[], number, string][] = [
  ["an empty line alone", [], 1, FIELD],
  ["an empty line", [ROOT, "", file("/a")], 2, FIELD],
  ["a first line that is not the root", [file("/a"), ROOT], 1, PATH],
  ["a root that is a file", ["/ 0 100644 1 0 0 0 0.0 - - -"], 1, PATH],
  ["two roots", [ROOT, ROOT], 2, PATH],
  ["a path twice", [ROOT, file("/a"), file("/a")], 3, PATH],
  ["a directory that is missing", [ROOT, file("/a/b")], 2, PATH],
  ["a directory that comes later", [ROOT, file("/a/b"), "/a 0 40755 2 0 0 0 0.0 - - -"], 2, PATH],
  ["a file as a directory", [ROOT, file("/a"), file("/a/b")], 3, PATH],
  ["a relative path", [ROOT, file("a")], 2, PATH],
  ["an empty name", [ROOT, file("//")], 2, PATH],
  ["an empty part", [ROOT, "/a 0 40755 2 0 0 0 0.0 - - -", file("/a//b")], 3, PATH],
  ["the name .", [ROOT, file("/.")], 2, PATH],
  ["the name ..", [ROOT, file("/..")], 2, PATH],
  ["a name of 256 bytes", [ROOT, file(`/${"n".repeat(256)}`)], 2, PATH],
  ["a name with a NUL", [ROOT, file("/a\\x00b")], 2, PATH],
  ["a path of too many parts", [ROOT, file("/a".repeat(3000))], 2, PATH],
  ["a missing field", [ROOT, "/a 0 100644 1 0 0 0 0.0 - -"], 2, FIELD],
  ["a path alone", [ROOT, "/a"], 2, FIELD],
  ["a NUL byte", [ROOT, file("/a\0")], 2, FIELD],
  ["a size that is no number", [ROOT, "/a x 100644 1 0 0 0 0.0 - - -"], 2, FIELD],
  ["a negative size", [ROOT, "/a -1 100644 1 0 0 0 0.0 - - -"], 2, FIELD],
  ["a size beyond 64 bits", [ROOT, "/a 18446744073709551616 20644 1 0 0 7 0.0 - - -"], 2, FIELD],
  ["a size of more than 1,024 chunks", [ROOT, "/a 9500000000000000 100644 1 0 0 0 0.0 - - -"], 2, FIELD],
  ["a mode that is not octal", [ROOT, "/a 0 100684 1 0 0 0 0.0 - - -"], 2, FIELD],
  ["a mode without a type", [ROOT, "/a 0 644 1 0 0 0 0.0 - - -"], 2, FIELD],
  ["a mode of an unknown type", [ROOT, "/a 0 30644 1 0 0 0 0.0 - - -"], 2, FIELD],
  ["a gid that is no number", [ROOT, "/a 0 100644 1 5 x 0 0.0 - - -"], 2, FIELD],
  ["a uid of 33 bits", [ROOT, "/a 0 100644 1 4294967296 0 0 0.0 - - -"], 2, FIELD],
  ["a time without nanoseconds", [ROOT, file("/a", "0 0 0 5 - - -")], 2, FIELD],
  ["a time of letters", [ROOT, file("/a", "0 0 0 x.y - - -")], 2, FIELD],
  ["a time below 64 bits", [ROOT, file("/a", "0 0 0 -9223372036854775809.0 - - -")], 2, FIELD],
  ["a short digest", [ROOT, file("/a", "0 0 0 0.0 - - abcd")], 2, FIELD],
  ["a digest that is not hex", [ROOT, file("/a", `0 0 0 0.0 - - ${DIGEST.slice(1)}g`)], 2, FIELD],
  ["content of another size", [ROOT, "/a 2 100644 1 0 0 0 0.0 - abc -"], 2, FIELD],
  ["more than 5,000 bytes inside", [ROOT, `/a 5001 100644 1 0 0 0 0.0 - ${"x".repeat(5001)} -`], 2, FIELD],
  ["a symlink to nothing", [ROOT, "/a 0 120777 1 0 0 0 0.0 - - -"], 2, FIELD],
  ["a symlink of 4,096 bytes", [ROOT, `/a 0 120777 1 0 0 0 0.0 ${"x".repeat(4096)} - -`], 2, FIELD],
  ["a symlink with a NUL", [ROOT, "/a 0 120777 1 0 0 0 0.0 a\\x00 - -"], 2, FIELD],
  ["an object path of 4,096 bytes", [ROOT, `/a 9 100644 1 0 0 0 0.0 ${"x".repeat(4096)} - -`], 2, FIELD],
  ["an xattr without =", [ROOT, `${file("/a")} user.a`], 2, FIELD],
  ["an xattr without a name", [ROOT, `${file("/a")} =x`], 2, FIELD],
  ["an xattr name of 256 bytes", [ROOT, `${file("/a")} user.${"x".repeat(251)}=`], 2, FIELD],
  ["too many bytes of xattrs", [ROOT, `${file("/a")} user.a=${"x".repeat(32_750)}`], 2, FIELD],
  ["a line with too many xattrs", [ROOT, `${file("/a")} user.a=${"\\x00".repeat(20_000)}`], 2, FIELD],
  ["two spaces before an xattr", [ROOT, `${file("/a")}  user.a=`], 2, FIELD],
  ["a lone backslash", [ROOT, file("/a\\")], 2, ESCAPE],
  ["an unknown escape", [ROOT, file("/a\\q")], 2, ESCAPE],
  ["half a hex escape", [ROOT, file("/a\\x1")], 2, ESCAPE],
  ["a hex escape of letters", [ROOT, file("/a\\xzz")], 2, ESCAPE],
  ["a bad escape in an xattr", [ROOT, `${file("/a")} user.a=\\`], 2, ESCAPE],
  ["a directory as a hard link", [ROOT, "/a 0 @40755 0 0 0 0 0.0 / - -"], 2, HARDLINK],
  ["a hard link to nothing", [ROOT, "/a 0 @100644 0 0 0 0 0.0 - - -"], 2, HARDLINK],
  ["a hard link to what is not there", [ROOT, "/a 0 @100644 0 0 0 0 0.0 /b - -", file("/c")], 2, HARDLINK],
  [
    "a hard link to a directory",
    [ROOT, "/d 0 40755 2 0 0 0 0.0 - - -", "/a 0 @100644 0 0 0 0 0.0 /d - -"],
    3,
    HARDLINK,
  ],
  ["a hard link to the root", [ROOT, "/a 0 @100644 0 0 0 0 0.0 / - -"], 2, HARDLINK],
  ["a hard link to itself", [ROOT, "/a 0 @100644 0 0 0 0 0.0 /a - -"], 2, HARDLINK],
  [
    "hard links in a circle",
    [ROOT, "/a 0 @100644 0 0 0 0 0.0 /b - -", "/b 0 @100644 0 0 0 0 0.0 /a - -"],
    2,
    HARDLINK,
  ],
];

describe("a dump with", () => {
  test.each(BAD)("%s is refused", (_, lines, lineNumber, code) => {
    try {
      parse(...lines);
    } catch (error) {
      expect(error).toBeInstanceOf(AgentError);
      expect(error).toMatchObject({ code, context: { line: lineNumber } });
      expect((error as Error).message).toContain(`line ${lineNumber} `);
      return;
    }
    throw new Error("it was not refused");
  });
});

test("a mode's bits above the sixteen are dropped, as mkcomposefs does", () => {
  const plain = writeErofsImage(parse(ROOT, "/a 0 20777 1 0 0 5 0.0 - - -"));
  expect(writeErofsImage(parse(ROOT, "/a 0 1020777 1 0 0 5 0.0 - - -")).equals(plain)).toBe(true);
});

test("an empty dump is refused", () => {
  expect(() => parseDump(Buffer.alloc(0))).toThrow(expect.objectContaining({ code: "COMPOSEFS_DUMP_PATH" }));
});
