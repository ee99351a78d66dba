import { expect, test } from "vitest";
import { parseOemStrings } from "../../../../agent/sys/machine/credentials.ts";

const structure = (type: number, formatted: number[], strings: string) =>
  Buffer.concat([
    Buffer.from([type, 4 + formatted.length, 0, 0, ...formatted]),
    Buffer.from(strings, "latin1"),
  ]);

const BIOS = structure(0, [1, 2, 3], "SeaBIOS\x00rel-1\0\0");
const NO_STRINGS = structure(1, [0], "\0\0");
const OEM = structure(11, [2], "first=1\0dutboot.credential:s3=QUJD\0\0");
const END = structure(127, [], "\0\0");

test.each([
  ["between others", [BIOS, NO_STRINGS, OEM, END], ["first=1", "dutboot.credential:s3=QUJD"]],
  [
    "two structures",
    [OEM, structure(11, [1], "third\0\0"), END],
    ["first=1", "dutboot.credential:s3=QUJD", "third"],
  ],
  ["none", [BIOS, END], []],
  ["after the end marker nothing counts", [BIOS, END, OEM], []],
  ["an OEM structure without strings", [structure(11, [0], "\0\0"), END], []],
  ["nothing at all", [], []],
  ["cut inside a header", [OEM, Buffer.from([11, 5])], ["first=1", "dutboot.credential:s3=QUJD"]],
  ["cut inside the strings", [OEM, structure(11, [1], "half")], ["first=1", "dutboot.credential:s3=QUJD"]],
  ["a length too small to be one", [Buffer.from([11, 2, 0, 0, 65, 0, 0])], []],
  ["a length beyond the table", [Buffer.from([11, 200, 0, 0, 65, 0, 0])], []],
])("%s", (_name, parts, expected) => {
  expect(parseOemStrings(Buffer.concat(parts))).toEqual(expected);
});
