/**
 * `dutboot reproduce`: prints commands that give a shell in the test's environment with podman, and that boot the same job in
 * QEMU. The exit code is 0, or 2 for an invalid line.
 */
import { formatBootLine, planReproducers } from "../agent/job/explain/reproduce.ts";
import type { Job } from "../agent/job/job.ts";
import { readCommandLine } from "../agent/job/read-job.ts";
import type { Command } from "./command.ts";
import { JOB_INPUT_OPTIONS, readJobInput } from "./job-input.ts";

const EXIT_CODE_INVALID = 2;

export const reproduceCommand: Command = {
  name: "reproduce",
  summary: "Print commands for a shell in a job's environment with podman, and to boot the job in QEMU",
  operands: "['COMMAND LINE' | FILE | -]",
  options: JOB_INPUT_OPTIONS,
  examples: [
    `npx dutboot reproduce 'dut.image=registry.farm/mesa/vk:1 dut.run="vulkaninfo --summary"'`,
    "ssh dut cat /proc/cmdline | npx dutboot reproduce",
  ],
  async run(input) {
    const { line, files } = readJobInput(input);
    const { job, errors, warnings } = readCommandLine(line, files);
    for (const warning of warnings) console.error(`warning: ${warning}`);
    for (const { message, code } of [...(files.error ? [files.error] : []), ...errors]) {
      console.error(`error: ${message} (${code})`);
    }
    if (!job || errors.length > 0 || files.error) return EXIT_CODE_INVALID;
    console.log(formatReproduction(line, job).join("\n"));
    return 0;
  },
};

/** Commands to paste, with comments. */
export function formatReproduction(line: string, job: Job): string[] {
  const steps = planReproducers(job).filter(({ kind }) => kind === "main");
  return [
    ...steps.flatMap(({ step, shell, reason, command }) => {
      const runs = command === undefined ? "" : `, which runs: ${command}`;
      if (shell === undefined) return `# no shell in the environment of step ${step}: ${reason}`;
      return [`# a shell in the environment of step ${step}${runs}`, shell];
    }),
    "# the same job in QEMU",
    formatBootLine(line),
  ];
}
