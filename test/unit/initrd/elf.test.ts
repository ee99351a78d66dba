import { describe, expect, it } from "vitest";
import { readElf } from "../../../initrd/elf.ts";
import { buildElf } from "./elf-builder.ts";

const LOADER = "/lib64/ld-linux-x86-64.so.2";

describe("the needs of an ELF file", () => {
  it.each([
    {
      name: "libraries, in order",
      recipe: { needed: ["libm.so.6", "libc.so.6"] },
      needed: ["libm.so.6", "libc.so.6"],
    },
    { name: "nothing", recipe: {}, needed: [] },
    { name: "a loader", recipe: { interpreter: LOADER, needed: ["libc.so.6"] }, needed: ["libc.so.6"] },
  ])("reads $name", ({ recipe, needed }) => {
    const facts = readElf(buildElf(recipe));
    expect(facts?.needed).toEqual(needed);
    expect(facts?.interpreter).toBe("interpreter" in recipe ? recipe.interpreter : undefined);
  });

  it("distinguishes machines", () => {
    expect(readElf(buildElf({ machine: 183 }))?.machine).toBe(183);
  });

  it.each([
    { name: "a script", file: Buffer.from("#!/bin/sh\n") },
    { name: "an empty file", file: Buffer.alloc(0) },
  ])("has no answer for $name", ({ file }) => {
    expect(readElf(file)).toBeUndefined();
  });

  const narrow = buildElf();
  narrow[4] = 1;
  const bigEndian = buildElf();
  bigEndian[5] = 2;
  const whole = buildElf({ needed: ["libc.so.6"] });
  it.each([
    { name: "32 bit", file: narrow },
    { name: "big endian", file: bigEndian },
    {
      name: "a string table that is not mapped",
      file: buildElf({ needed: ["libc.so.6"], withoutLoad: true }),
    },
    { name: "a file cut in its headers", file: whole.subarray(0, 100) },
    { name: "a file cut in its dynamic section", file: whole.subarray(0, whole.length - 40) },
  ])("refuses $name", ({ file }) => {
    expect(() => readElf(file)).toThrow(RangeError);
  });
});
