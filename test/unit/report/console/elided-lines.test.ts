import { describe, expect, it } from "vitest";
import { hasLine } from "../../../../agent/report/console/device.ts";
import { type ElidedItem, ElidedLines } from "../../../../agent/report/console/elided-lines.ts";

function elide(blocks: string[], { tailBytes = 0, resultsMaxBytes = 1000 } = {}): string[] {
  const elided = new ElidedLines({ resultsMaxBytes });
  for (const block of blocks) elided.add(Buffer.from(block), 0);
  const items = elided.take({ tailBytes }).map(format);
  expect(elided.take({ tailBytes })).toEqual([]);
  return items;
}

const format = (item: ElidedItem) =>
  "line" in item ? item.line.toString().trimEnd() : `(${item.missingLines})`;

describe("elided lines", () => {
  it.each<[string, string[], Parameters<typeof elide>[1], string[]]>([
    ["nothing", [], { tailBytes: 10 }, []],
    ["lines alone", ["a\nb\n", "c\n"], {}, ["(3)"]],
    ["the last lines", ["a\nb\n", "c\nd\n"], { tailBytes: 5 }, ["(2)", "c", "d"]],
    ["at least one line, however long", ["a\nlong line\n"], { tailBytes: 2 }, ["(1)", "long line"]],
    ["all lines, where they fit", ["a\nb\n"], { tailBytes: 100 }, ["a", "b"]],
    [
      "results between gaps",
      ["a\nhwci: 1\nb\nb\n", "hwci: 2\nhwci: 3\n"],
      {},
      ["(1)", "hwci: 1", "(2)", "hwci: 2", "hwci: 3"],
    ],
    ["a result among the last lines, once", ["a\nhwci: 1\nb\n"], { tailBytes: 10 }, ["(1)", "hwci: 1", "b"]],
    [
      "results at the start",
      ["not ok 1\nnot ok 2 not ok\n", "ok not ok\n"],
      {},
      ["not ok 1", "not ok 2 not ok", "(1)"],
    ],
    ["a line with several marks, once", ["hwci: <LAVA_ hwci: \na\n"], {}, ["hwci: <LAVA_ hwci:", "(1)"]],
    [
      "results beyond what may wait, counted",
      ["hwci: 1\nhwci: 2\na\n"],
      { resultsMaxBytes: 8 },
      ["hwci: 1", "(2)"],
    ],
  ])("%s", (_, blocks, options, items) => {
    expect(elide(blocks, options)).toEqual(items);
  });

  it("counts the gaps between very many results before them", () => {
    const items = elide(["a\nhwci: 1\n".repeat(50)]);
    expect(items[0]).toBe("(50)");
    expect(items.slice(1)).toEqual(Array.from({ length: 50 }, () => "hwci: 1"));
  });
});

it("knows which consoles have a rate", () => {
  const names = [
    "ttyS0",
    "ttyAMA0",
    "ttymxc1",
    "ttyMSM0",
    "ttyUSB0",
    "tty0",
    "tty12",
    "hvc0",
    "ttyGS0",
    "ttynull",
    "3",
  ];
  expect(names.filter(hasLine)).toEqual(["ttyS0", "ttyAMA0", "ttymxc1", "ttyMSM0", "ttyUSB0"]);
});
