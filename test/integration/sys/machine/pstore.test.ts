/** The kernel's last words, from a folder that stands for /sys/fs/pstore: which files are records, what of them is a panic. */
import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { readCrashRecords } from "../../../../agent/sys/machine/pstore.ts";

let folder: string;
let warnings: string[];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "dutboot-pstore-"));
  warnings = [];
});
afterEach(() => rmSync(folder, { recursive: true }));

const write = (name: string, text: string) => writeFileSync(join(folder, name), text);
const read = () => readCrashRecords((message) => warnings.push(message), folder);

const PANIC =
  "Panic#1 Part1\n<4>[   12.3] before\n<0>[   12.4] Kernel panic - not syncing: Fatal exception\n<0>[   12.4] after\n";

it("reads records, and deletes them when they are cleared; keeps other files", () => {
  write("dmesg-ramoops-0", PANIC);
  write("dmesg-efi-166512345678901", "Oops#1 Part1\nsome oops\n");
  write("console-ramoops-0", "last lines\n");
  write("pmsg-ramoops-0", "of user space\n");
  write("something-else", "not ours");
  write("dmesg-\x1b[31m", "not ours");
  const crash = read();
  expect(crash.records.map(({ name }) => name)).toEqual([
    "console-ramoops-0",
    "dmesg-efi-166512345678901",
    "dmesg-ramoops-0",
    "pmsg-ramoops-0",
  ]);
  expect(crash.records[2]!.text).toBe(PANIC);
  expect(crash.panic).toBe("Kernel panic - not syncing: Fatal exception");
  crash.clear();
  crash.clear();
  expect(readdirSync(folder).sort()).toEqual(["dmesg-\x1b[31m", "something-else"]);
  expect(warnings).toEqual([]);
});

it.for<[what: string, text: string, panic: string | undefined]>([
  [
    "an oops that the machine lived through",
    "Oops#1 Part1\n<4>[ 1.0] BUG: unable to handle page fault\n",
    undefined,
  ],
  ["a panic whose own line is in another part", "Panic#1 Part2\n<4>[ 1.0] Call Trace:\n", "Kernel panic"],
  [
    "control characters",
    "Kernel panic - not syncing: \x1b[31mred\r\n",
    "Kernel panic - not syncing:  [31mred",
  ],
  ["nothing", "", undefined],
])("the panic of a record: %s", ([, text, panic]) => {
  write("dmesg-ramoops-0", text);
  expect(read().panic).toBe(panic);
});

it("logs and keeps a record that cannot be read, and reads the others", () => {
  mkdirSync(join(folder, "dmesg-folder-0"));
  symlinkSync("/nowhere", join(folder, "dmesg-link-0"));
  write("dmesg-ramoops-0", PANIC);
  const crash = read();
  expect(crash.records.map(({ name }) => name)).toEqual(["dmesg-ramoops-0"]);
  expect(warnings).toHaveLength(2);
  rmSync(join(folder, "dmesg-ramoops-0"));
  crash.clear();
  expect(warnings[2]).toMatch(/^pstore: "dmesg-ramoops-0" cannot be cleared/);
});

it("a kernel without pstore has no records", () => {
  expect(readCrashRecords(() => {}, join(folder, "absent"))).toMatchObject({ records: [] });
});
