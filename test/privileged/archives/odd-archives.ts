/** Archives that no program writes, or only broken ones: members that contradict each other, and headers that readers take differently. */
import {
  buildMember,
  buildPax,
  buildRawHeader,
  buildTar,
  type Member,
} from "../../unit/archive/tar-builder.ts";

export interface OddArchive {
  tar: Buffer;
  /** The code of our error; without one, we unpack it. */
  refused?: string;
  /** Why podman's answer is another. */
  unlikePodman?: string;
}

const dir = (path: string, more: Partial<Member> = {}): Member => ({ path, type: "directory", ...more });
const file = (path: string, content = path, more: Partial<Member> = {}): Member => ({
  path,
  content,
  ...more,
});
const link = (path: string, linkPath: string): Member => ({ path, type: "symlink", linkPath });
const hardlink = (path: string, linkPath: string): Member => ({ path, type: "hardlink", linkPath });
const root = dir("./", { mtime: 3 });

const smuggled = buildMember({ path: "smuggled", content: "evil", mode: 0o4755 });
const gnuNames = [
  buildRawHeader("././@LongLink", "L", Buffer.from("gnu\0")),
  buildRawHeader("././@LongLink", "K", Buffer.from("gnu-target\0")),
];
const paxNames = buildPax([
  ["path", "pax"],
  ["linkpath", "pax-target"],
]);
const end = Buffer.alloc(1024);
const rooted = (...parts: Buffer[]) => Buffer.concat([buildMember(root), ...parts, end]);
const TWICE = "podman takes no path twice";

const members: Record<string, [Member[], Omit<OddArchive, "tar">?]> = {
  "a hard link whose target is behind a symlink": [
    [dir("usr/"), dir("usr/lib/"), link("lib", "usr/lib"), file("lib/x"), hardlink("usr/lib/y", "lib/x")],
  ],
  "a hard link through an absolute symlink": [
    [dir("usr/"), link("lib", "/usr"), file("usr/x"), hardlink("y", "/lib/x")],
  ],
  "a hard link to a symlink": [[link("a", "nowhere"), hardlink("b", "a")]],
  "a hard link before its target": [[hardlink("a", "b"), file("b")], { refused: "ARCHIVE_BAD_MEMBER" }],
  "a hard link to a directory": [[dir("d/"), hardlink("a", "d")], { refused: "ARCHIVE_BAD_MEMBER" }],
  "a hard link to nothing": [[hardlink("a", "b")], { refused: "ARCHIVE_BAD_MEMBER" }],
  "a hard link to itself": [[file("a"), hardlink("a", "a")], { unlikePodman: TWICE }],
  "a hard link out of the root": [[hardlink("a", "../b")], { refused: "ARCHIVE_UNSAFE_MEMBER" }],
  "a member below a file": [[file("f"), file("f/x")], { refused: "ARCHIVE_BAD_MEMBER" }],
  "a member below a symlink to nothing": [
    [link("l", "nowhere"), file("l/x")],
    { refused: "ARCHIVE_BAD_MEMBER" },
  ],
  "a member below a symlink to nothing yet": [
    [link("l", "later"), file("l/x"), dir("later")],
    { refused: "ARCHIVE_BAD_MEMBER" },
  ],
  "a member below a symlink to a file": [
    [file("f"), link("l", "f"), file("l/x")],
    { refused: "ARCHIVE_BAD_MEMBER" },
  ],
  "a member below symlinks in a circle": [
    [link("a", "b"), link("b", "a"), file("a/x")],
    { refused: "ARCHIVE_BAD_MEMBER" },
  ],
  "a directory replaced by a symlink, with members below": [
    [dir("r/"), dir("d/"), file("d/a"), link("d", "r"), file("d/b")],
    { unlikePodman: TWICE },
  ],
  "a directory replaced by a symlink to nothing, with a member below": [
    [dir("d/"), file("d/a"), link("d", "r"), file("d/b")],
    { refused: "ARCHIVE_BAD_MEMBER" },
  ],
  "a directory replaced through a symlink": [[file("a/x"), link("b", "."), file("b/a")]],
  "a symlink replaced by a directory": [
    [dir("r/"), link("d", "r"), file("d/a"), dir("d/"), file("d/b")],
    { unlikePodman: TWICE },
  ],
  "a path that goes up inside the root": [[file("a/../b")]],
  "a path out of the root": [
    [file("../b")],
    { refused: "ARCHIVE_UNSAFE_MEMBER", unlikePodman: "podman takes it for a path in the root" },
  ],
  "a file in place of the root": [[file(".")], { refused: "ARCHIVE_UNSAFE_MEMBER" }],
  "a symlink to nothing": [[link("l", "")], { refused: "ARCHIVE_BAD_MEMBER" }],
  "a negative owner": [[file("a", "a", { pax: [["uid", "-2"]] })]],
  "an owner that means unchanged": [[file("a", "a", { pax: [["uid", "4294967295"]] })]],
  "a member of type 7": [[file("a", "a", { typeflag: "7" })], { unlikePodman: "podman knows no type 7" }],
  "a member of an unknown type": [
    [file("a", "a", { typeflag: "A" })],
    { refused: "ARCHIVE_UNSUPPORTED_MEMBER" },
  ],
  "one volume of several": [[file("a", "a", { typeflag: "M" })], { refused: "ARCHIVE_UNSUPPORTED_MEMBER" }],
  "a checksum of signed bytes": [[file("\xe9", "a", { signedSum: true })]],
  "bytes behind the fields of a v7 header": [
    [file("a", "a", { magic: "none", raw: [[329, Buffer.from("garbage!")]] })],
  ],
  "a device number in a file's header": [[file("a", "a", { raw: [[329, Buffer.from("7777777\0")]] })]],
  "a device number that is none in a file's header": [
    [file("a", "a", { raw: [[329, Buffer.from("garbage!")]] })],
    { unlikePodman: "podman reads it, GNU tar does not" },
  ],
  "a directory of type 0 without content": [
    [file("d/", ""), file("d/x")],
    { unlikePodman: "for podman it is a file, for GNU tar a directory" },
  ],
  "a device 0:0, overlayfs's whiteout": [
    [{ path: "a", type: "char", device: [0, 0] }, file("b")],
    { unlikePodman: "it is in podman's layer, but not in the root either" },
  ],
  "an attribute of overlayfs": [
    [file("a", "a", { pax: [["SCHILY.xattr.trusted.overlay.redirect", "/x"]] })],
    { unlikePodman: "podman keeps it in the layer, where overlayfs obeys it" },
  ],
  "user's attributes of a symlink": [
    [
      { ...link("a", "b"), pax: [["SCHILY.xattr.user.a", "x"]] },
      file("b", "b", { pax: [["SCHILY.xattr.user.a", "x"]] }),
    ],
    { unlikePodman: "podman fails, GNU tar leaves it out" },
  ],
  "an attribute without a name space": [[file("a", "a", { pax: [["SCHILY.xattr.nowhere", "x"]] })]],
  "an attribute without a name": [
    [file("a", "a", { pax: [["SCHILY.xattr.", "x"]] })],
    { refused: "ARCHIVE_BAD_MEMBER" },
  ],
  "an attribute without a value": [[file("a", "a", { pax: [["SCHILY.xattr.user.a", ""]] })]],
  "900 members with a megabyte of attributes each": [
    Array.from({ length: 900 }, (_, index) =>
      file(`${index}`, "", { pax: [["SCHILY.xattr.user.a", Buffer.alloc(1 << 20, 97).subarray(0, -100)]] }),
    ),
    { refused: "ARCHIVE_LIMIT_EXCEEDED" },
  ],
};

const bytes: Record<string, OddArchive> = {
  "no end blocks": { tar: buildTar([root, file("a")], { endBlocks: 0 }) },
  "no padding of the last member": {
    tar: buildTar([root, file("a", "x".repeat(700))], { endBlocks: 0 }).subarray(0, 1024 + 700),
  },
  "no bytes at all": { tar: Buffer.alloc(0) },
  "an extended header in place of the end": {
    tar: Buffer.concat([buildTar([root], { endBlocks: 0 }), paxNames]),
  },
  "a member after half an end mark": {
    tar: rooted(Buffer.alloc(512), buildMember(file("a"))),
    refused: "ARCHIVE_CORRUPT",
  },
  "a header that is cut": {
    tar: rooted()
      .subarray(0, 512 + 100)
      .fill("x", 512),
    refused: "ARCHIVE_TRUNCATED",
  },
  "GNU's names before pax's": { tar: rooted(...gnuNames, paxNames, buildMember(link("x", "y"))) },
  "GNU's names after pax's": { tar: rooted(paxNames, ...gnuNames, buildMember(link("x", "y"))) },
  "a global path and owner": {
    tar: rooted(
      buildPax(
        [
          ["path", "global"],
          ["uid", "12"],
        ],
        "g",
      ),
      buildMember(file("a")),
      buildMember(file("b")),
    ),
  },
  "a global header behind a member's own": {
    tar: rooted(paxNames, buildPax([["comment", "x"]], "g"), buildMember(file("a"))),
  },
  ...Object.fromEntries(
    ["0", "7", "\0"].map((typeflag) => [
      `a file of type ${JSON.stringify(typeflag)} whose name ends in a slash, with a member as content`,
      {
        tar: rooted(
          buildMember(file("d/", "", { typeflag, size: smuggled.length })),
          smuggled,
          buildMember(file("z")),
        ),
        ...(typeflag !== "0" && { unlikePodman: "podman refuses type 7, and takes the content for members" }),
      },
    ]),
  ),
};

export const ODD_ARCHIVES: Record<string, OddArchive> = {
  ...bytes,
  ...Object.fromEntries(
    Object.entries(members).map(([name, [list, facts]]) => [
      name,
      { tar: buildTar([root, ...list]), ...facts },
    ]),
  ),
};
