/** Lines as boot loaders deliver them, recorded from real boots (GRUB 2.06, pxelinux), and what the job was. */
import { expect, it } from "vitest";
import { readCommandLine } from "../../../../agent/job/read-job.ts";
import { undoLoaderEscapes } from "../../../../agent/job/syntax/loader-escapes.ts";

const GRUB = "BOOT_IMAGE=/boot/vmlinuz console=ttyS0 quiet";

it.each<[arrived: string, written: string]>([
  [
    String.raw`${GRUB} "dut.run=deqp-runner run --caselist \'a b.txt\' --jobs 4" dut.env=FILTER=a\\b dut.end`,
    String.raw`${GRUB} "dut.run=deqp-runner run --caselist 'a b.txt' --jobs 4" dut.env=FILTER=a\b dut.end`,
  ],
  [
    String.raw`${GRUB} "dut.container=--entrypoint \'[\"sh\",\"-c\"]\'" dut.end`,
    `${GRUB} "dut.container=--entrypoint '["sh","-c"]'" dut.end`,
  ],
  [String.raw`${GRUB} dut.env=A=\'x\'`, `${GRUB} dut.env=A='x'`],
  [
    String.raw`quiet BOOT_IMAGE=(hd0,1)/vmlinuz dut.env=A=\'x\'`,
    `quiet BOOT_IMAGE=(hd0,1)/vmlinuz dut.env=A='x'`,
  ],
])("undoes what GRUB wrote: %s", (arrived, written) => {
  expect(undoLoaderEscapes(arrived)).toMatchObject({
    text: written,
    warning: expect.stringContaining("GRUB"),
  });
});

it.each([
  `${GRUB} "dut.run=ls -l" dut.end`,
  // pxelinux escapes nothing and names the initrd.
  String.raw`BOOT_IMAGE=vmlinuz initrd=dutboot.img dut.run="grep 'a\\b' file" dut.end`,
  String.raw`BOOT_IMAGE=/vmlinuz dut.run="sed s/\./x/"`,
])("leaves alone what no loader wrote: %s", (text) => {
  expect(undoLoaderEscapes(text)).toEqual({ text });
});

it.each([
  String.raw`${GRUB} dut.env=FILTER=a\\b`,
  String.raw`${GRUB} "dut.run=sh -c \"echo a b\""`,
  String.raw`dut.run="sh -c \"ls\""`,
  String.raw`BOOT_IMAGE=vmlinuz initrd=x "dut.run=sh -c \'a b\'"`,
  String.raw`console=ttyS0 "dut.run=sh -c \'a b\'"`,
])("refuses what is not certain: %s", (text) => {
  const { errors } = readCommandLine(`${text} dut.image=h:1/i dut.end`);
  expect(errors.map(({ code }) => code)).toContain("CMDLINE_LOADER_ESCAPES");
});

it.each([
  // U-Boot's pxe removes single quotes of APPEND.
  ["sh -c a; b", true],
  ["exec /bin/bash -ec make test", true],
  ["cd /x && sh -c ls | cat", true],
  ["sh -c ls", false],
  ["sh -c 'a; b'", false],
  ["bash /install/run.sh a b", false],
  ["ssh -c aes host ls", false],
])("dut.run=%j is refused as a script without its quotes: %s", (command, isRefused) => {
  const { errors } = readCommandLine(`dut.image=h:1/i dut.run="${command}" dut.end`);
  expect(errors.map(({ code }) => code)).toEqual(isRefused ? ["CMDLINE_BAD_VALUE"] : []);
});

it.each([
  ["-t h:1/i sh -c echo hello", true],
  ["-e A=1 h:1/i /bin/bash -ec make test", true],
  ["h:1/i sh -c 'echo hello'", false],
  ["h:1/i echo hello", false],
])("the container %j is refused as a script without its quotes: %s", (value, isRefused) => {
  for (const line of [`b2c.run="${value}"`, `dut.image=h:1/i dut.step="${value}" dut.end`])
    expect(readCommandLine(line).errors.map(({ code }) => code)).toEqual(
      isRefused ? ["CMDLINE_BAD_VALUE"] : [],
    );
});

const pad = (text: string, bytes: number) => `${text} pad=${"x".repeat(bytes - text.length - 5)}`;
it.each<[line: string, code: string | undefined]>([
  [pad("dut.image=h:1/i", 900), undefined],
  [pad("dut.image=h:1/i", 901), "CMDLINE_MAY_BE_CUT"],
  [`${pad("dut.image=h:1/i", 1990)} dut.end`, undefined],
  [`${pad("dut.image=h:1/i", 1990)} dut.end BOOTIF=01-aa-bb-cc-dd-ee-ff initrd=x`, undefined],
  [pad("b2c.run=h:1/i", 2039), undefined],
  [pad("b2c.run=h:1/i", 2040), "CMDLINE_MAY_BE_CUT"],
  [pad("root=/dev/nfs ip=dhcp", 2040), "CMDLINE_MAY_BE_CUT"],
])("a line that may be cut is refused: %#", (line, code) => {
  expect(readCommandLine(line).errors[0]?.code).toBe(code);
  expect(readCommandLine(line, { linesArriveWhole: true }).errors).toEqual([]);
  const warnings = readCommandLine(line).warnings.filter((text) => text.includes("cut a line"));
  expect(warnings).toHaveLength(
    line.length >= 1000 && code === undefined && !line.includes("dut.end") ? 1 : 0,
  );
});
