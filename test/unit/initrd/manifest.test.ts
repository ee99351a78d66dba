import { describe, expect, it } from "vitest";
import { fileFromText, type ImageFile, linkTo } from "../../../initrd/image-file.ts";
import { createManifest, formatChecksums } from "../../../initrd/manifest.ts";

const EMPTY_SHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
const FILES: readonly ImageFile[] = [
  fileFromText("usr/bin/tool", "", "tool 1.2-3"),
  linkTo("bin", "usr/bin", "dutboot 0.1.0"),
  { path: "dev/null", origin: "dutboot 0.1.0", content: { kind: "char", major: 1, minor: 3 } },
];

describe("the manifest", () => {
  it("lists files with size, hash and package, and links with their target", () => {
    expect(createManifest("x86_64", FILES)).toEqual({
      version: 1,
      arch: "x86_64",
      files: [
        { path: "bin", origin: "dutboot 0.1.0", link: "usr/bin" },
        { path: "usr/bin/tool", origin: "tool 1.2-3", sizeBytes: 0, sha256: EMPTY_SHA256 },
      ],
    });
  });

  it("does not depend on the order of the files", () => {
    expect(createManifest("x86_64", FILES.toReversed())).toEqual(createManifest("x86_64", FILES));
  });

  it("has the format of sha256sum -c", () => {
    expect(formatChecksums(createManifest("x86_64", FILES))).toBe(`${EMPTY_SHA256}  /usr/bin/tool\n`);
  });

  it.each(["a\nb", "a\\b"])("refuses the name %j, which sha256sum escapes", (path) => {
    const manifest = createManifest("x86_64", [fileFromText(path, "", "x")]);
    expect(() => formatChecksums(manifest)).toThrow(RangeError);
  });
});
