import { execFileSync } from "node:child_process";
import { describe, expect, it } from "vitest";
import {
  completeCommandLine,
  formatShellCommand,
  planQemuArguments,
  type QemuPlan,
} from "../../../qemu/qemu-command.ts";

const PLAN: QemuPlan = {
  name: "run-1",
  kernel: "/k",
  commandLine: "quiet",
  memoryMiB: 512,
  cpus: 3,
  disks: [],
  nics: [],
  fwCfg: [],
  smbiosStringFiles: [],
  eventsFile: "/run/events.jsonl",
};

/** The value after each occurrence of an option. */
const valuesOf = (words: readonly string[], option: string) =>
  words.flatMap((word, index) => (word === option ? [words[index + 1]] : []));

describe("planQemuArguments", () => {
  const CASES: { name: string; plan: Partial<QemuPlan>; option: string; values: string[] }[] = [
    { name: "memory", plan: {}, option: "-m", values: ["512M"] },
    { name: "CPUs", plan: {}, option: "-smp", values: ["3"] },
    { name: "no network", plan: {}, option: "-nic", values: ["none"] },
    {
      name: "two networks",
      plan: { nics: ["user,id=a", "user,id=b"] },
      option: "-nic",
      values: ["user,id=a", "user,id=b"],
    },
    { name: "no initrd", plan: {}, option: "-initrd", values: [] },
    { name: "an initrd", plan: { initrd: "/i" }, option: "-initrd", values: ["/i"] },
    {
      name: "a disk whose name has a comma",
      plan: { disks: [{ path: "/a,b", format: "raw", readOnly: true, serial: "CACHE" }] },
      option: "-drive",
      values: ["file=/a,,b,format=raw,if=none,id=disk0,read-only=on"],
    },
    {
      name: "fw_cfg values by file, so that no secret is on the process list",
      plan: { fwCfg: [{ name: "org.dutboot/credentials/s3", path: "/f" }] },
      option: "-fw_cfg",
      values: ["name=opt/org.dutboot/credentials/s3,file=/f"],
    },
    {
      name: "SMBIOS strings by file",
      plan: { smbiosStringFiles: ["/s"] },
      option: "-smbios",
      values: ["type=11,path=/s"],
    },
    {
      name: "the command line as one word",
      plan: { commandLine: "a 'b' \"c d\"" },
      option: "-append",
      values: ["a 'b' \"c d\""],
    },
  ];

  it.for(CASES)("plans $name", ({ plan, option, values }) => {
    expect(valuesOf(planQemuArguments({ ...PLAN, ...plan }), option)).toEqual(values);
  });

  it("ends a panicked or reset machine", () => {
    expect(planQemuArguments(PLAN)).toContain("-no-reboot");
    expect(completeCommandLine("root=x")).toBe("console=ttyS0,115200 panic=-1 root=x");
  });
});

describe("formatShellCommand", () => {
  it("quotes arguments so that a shell reads them back", () => {
    const words = [
      "plain",
      "",
      "with space",
      "it's",
      '"quoted"',
      "$HOME `id` \\",
      "new\nline",
      "*?[a]",
      "a=b,c",
    ];
    const read = execFileSync("sh", ["-c", `printf '%s\\0' ${formatShellCommand(words)}`], {
      encoding: "utf8",
    });
    expect(read.split("\0").slice(0, -1)).toEqual(words);
  });
});
