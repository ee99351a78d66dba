/** The supervisor's verdict if the agent or the supervisor dies or the image is damaged, and how the machine then ends. */
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ERRORS, type ErrorCode } from "../../../agent/errors.ts";
import { parseVerdictLine } from "../../../agent/wire/verdict.ts";
import { formatCpio } from "../../../initrd/cpio-writer.ts";
import { bootDut } from "../../../qemu/boot-dut.ts";
import { claimRunDirectory } from "../../../qemu/run-directory.ts";
import type { ToolsRoot } from "../../../qemu/tools-root.ts";
import { prepareKernel, prepareToolsRoot } from "../../../scripts/prepare.ts";
import { BUILD_TIMEOUT_MS, buildStubImage, makeFolder } from "../../integration/initrd/build.ts";

let folder: string;
let image: string;
let cutImage: string;
let spoiledArchive: string;
let toolsRoot: ToolsRoot;
let kernel: { kernel: string; modules: string };

beforeAll(async () => {
  folder = await makeFolder();
  [image, toolsRoot, kernel] = await Promise.all([
    buildStubImage("x86_64", join(folder, "image")).then((built) => built.image),
    prepareToolsRoot(),
    prepareKernel(),
  ]);
  cutImage = join(folder, "cut.img");
  writeFileSync(cutImage, readFileSync(image).subarray(0, -1_000_000));
  spoiledArchive = join(folder, "spoiled.cpio");
  const script = {
    path: "usr/lib/dutboot/main.js",
    type: "file",
    content: Buffer.from("// spoiled\n"),
  } as const;
  writeFileSync(spoiledArchive, formatCpio([script]));
}, BUILD_TIMEOUT_MS);

afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function boot(commandLine: string, initrds: readonly string[], extraArguments: readonly string[] = []) {
  const runDirectory = await claimRunDirectory(join(folder, "runs"));
  const options = { kernel: kernel.kernel, memoryMiB: 768, nics: [], timeoutMs: 300_000, extraArguments };
  const result = await bootDut({
    toolsRoot,
    runDirectory,
    initrds,
    commandLine: `quiet ${commandLine}`,
    ...options,
  });
  return { ...result, console: readFileSync(result.consolePath, "latin1") };
}

interface Case {
  name: string;
  commandLine: string;
  initrds: () => readonly string[];
  code: ErrorCode;
  phase: string;
  message: RegExp;
  /** Other patterns that the console must match. */
  console?: readonly RegExp[];
  /** What must not be on the console. */
  noConsole?: RegExp;
}

/** Unknown parameters of the command line become init's environment; the shell's own variables are allowed. */
const ENVIRONMENT =
  "DUTBOOT_BOOT_ID DUTBOOT_IMAGE_CHECK_MS HOME LANG MALLOC_ARENA_MAX MALLOC_MMAP_THRESHOLD_ PATH PWD SHLVL SSL_CERT_FILE TERM";

const CASES: readonly Case[] = [
  {
    name: "an agent that ends without a verdict",
    commandLine: "stub=exit3 HOME=/tmp NODE_OPTIONS=--inspect",
    initrds: () => [image, kernel.modules],
    code: "AGENT_DIED",
    phase: "run",
    message: /exit code 3/,
    console: [/oom_score_adj -900\r?\n/, new RegExp(`stub: environment ${ENVIRONMENT}\\r?\\n`)],
  },
  {
    name: "an agent that is killed",
    commandLine: "stub=killed dut.on_exit=reboot",
    initrds: () => [image, kernel.modules],
    code: "AGENT_DIED",
    phase: "run",
    message: /signal 9/,
  },
  {
    name: "an agent that ends without a verdict in a job of boot2container",
    commandLine: 'stub=exit3 b2c.run="docker://image" b2c.poweroff_delay=1',
    initrds: () => [image, kernel.modules],
    code: "AGENT_DIED",
    phase: "run",
    message: /exit code 3/,
    console: [
      /^\[\d+\.\d\d\]: Execution is over, pipeline status: 1\r$/m,
      /^\[\d+\.\d\d\]: It's now safe to turn off your computer\r$/m,
    ],
  },
  {
    name: "an agent that dies before it has written its facts",
    commandLine: 'stub=early b2c.run="docker://image" dut.on_exit=reboot',
    initrds: () => [image, kernel.modules],
    code: "AGENT_DIED",
    phase: "unknown",
    message: /exit code 4/,
    console: [
      /^\[\d+\.\d\d\]: Execution is over, pipeline status: 1\r$/m,
      /^\[\d+\.\d\d\]: Rebooting the computer\r$/m,
    ],
  },
  {
    name: "a job of our own beside options of boot2container",
    commandLine: "stub=exit3 dut.rootfs=https://farm/root.tar b2c.cache_device=none",
    initrds: () => [image, kernel.modules],
    code: "AGENT_DIED",
    phase: "run",
    message: /exit code 3/,
    noConsole: /Execution is over|turn off your computer/,
  },
  {
    name: "a killed supervisor of the agent",
    commandLine: "stub=supervisor dut.on_exit=poweroff",
    initrds: () => [image, kernel.modules],
    code: "AGENT_DIED",
    phase: "run",
    message: /supervisor was killed/,
  },
  {
    name: "an agent that hangs",
    commandLine: "stub=silent DUTBOOT_SILENCE_MAX_S=20",
    initrds: () => [image, kernel.modules],
    code: "AGENT_SILENT",
    phase: "run",
    message: /sent no heartbeat for 20 s/,
  },
  {
    name: "an agent that fills what its runtime allows it",
    commandLine: "stub=heap",
    initrds: () => [image, kernel.modules],
    code: "AGENT_OUT_OF_MEMORY",
    phase: "run",
    message: /its runtime/,
    console: [/^dutboot: agent: .*heap out of memory/m],
  },
  {
    name: "an agent that fills the machine",
    commandLine: "stub=memory",
    initrds: () => [image, kernel.modules],
    code: "AGENT_OUT_OF_MEMORY",
    phase: "run",
    message: /The kernel killed the agent/,
  },
  {
    name: "a file that is not what was built",
    commandLine: "",
    initrds: () => [image, kernel.modules, spoiledArchive],
    code: "INITRD_DAMAGED",
    phase: "unknown",
    message: /main\.js/,
  },
  {
    name: "an image that was cut short",
    commandLine: "",
    // The kernel drops everything after a truncated archive, so the modules come first.
    initrds: () => [kernel.modules, cutImage],
    code: "INITRD_DAMAGED",
    phase: "unknown",
    message: /node/,
    // Without Node the dialect is unknown, so a boot2container farm gets its lines too.
    console: [/^\[\d+\.\d\d\]: Execution is over, pipeline status: 1\r$/m],
  },
];

describe("the supervisor's verdict", () => {
  it.each(CASES)(
    "$name",
    async ({ commandLine, initrds, code, phase, message, console: patterns = [], noConsole }) => {
      const result = await boot(commandLine, initrds());
      expect(result).toMatchObject({ outcome: "ended", verdict: { verdict: "error", exitCode: null } });
      const { blame, hint } = ERRORS[code];
      expect(result.verdict?.error).toMatchObject({ code, blame, hint, phase });
      expect(result.verdict?.error?.message).toMatch(message);
      const text = `dutboot: verdict: error code=${code} blame=${blame} phase=${phase}: ${result.verdict?.error?.message}`;
      const bootId = result.verdict!.bootId;
      expect(result.console.split(/\r?\n/).flatMap((line) => parseVerdictLine(line) ?? [])).toEqual(
        [1, 2, 3].map((number) => ({ text, number, bootId })),
      );
      expect(result.console).not.toContain("Kernel panic");
      for (const pattern of patterns) expect(result.console).toMatch(pattern);
      if (noConsole) expect(result.console).not.toMatch(noConsole);
      console.log(/image checked in \d+ ms/.exec(result.console)?.[0] ?? "image not checked to its end");
    },
  );

  it("a machine whose supervisor hangs is reset by its watchdog, without a verdict", async () => {
    const arguments_ = ["-device", "i6300esb"];
    const result = await boot("stub=watchdog", [image, kernel.modules], arguments_);
    expect(result.console).toMatch(/stub: stops the supervisor/);
    expect(result).toMatchObject({ outcome: "watchdog", code: "WATCHDOG_RESET", exitCode: 201 });
  });
});
