import { describe, expect, it } from "vitest";
import { BuildError } from "../../../initrd/build-error.ts";
import { readAppletNames } from "../../../initrd/userland.ts";

const tableOf = (names: readonly string[]) =>
  Buffer.concat([
    Buffer.from("\x7fELF code\0usage text\0"),
    Buffer.from(`${names.join("\0")}\0\0/var/log/wtmp\0`),
  ]);

describe("the applets of a busybox", () => {
  it("are the names of its table", () => {
    const names = ["[", "[[", "acpid", "init", "mount", "sh", "sha256sum", "zcat"];
    expect(readAppletNames(tableOf(names))).toEqual(names);
  });

  it.each([
    { name: "a file without the table", file: Buffer.from("no busybox") },
    { name: "a busybox without what init needs", file: tableOf(["[", "[[", "acpid", "sh"]) },
  ])("are an error for $name", ({ file }) => {
    expect(() => readAppletNames(file)).toThrow(BuildError);
  });
});
