/**
 * `dutboot boot`: boots any kernel, initrds and command line in a virtual DUT and exits with the verdict's code.
 * Defaults to the virtual DUT's kernel and the agent's initrd, which are built if missing.
 */
import type { Command, CommandInput } from "./command.ts";
import { parseFile, UsageError } from "./command.ts";
import { catchInterrupts, unlessAborted } from "./interrupt.ts";
import { prepareBootFiles, prepareToolsRoot } from "./prepare.ts";
import { claimRun, MACHINE_OPTIONS, readMachine, repeatBoots, runDut } from "./run-dut.ts";

export const bootCommand: Command = {
  name: "boot",
  summary: "Boot a virtual DUT in QEMU and exit with its verdict",
  operands: "[-- 'COMMAND LINE']",
  options: {
    kernel: { type: "string", value: "FILE", help: "Kernel (default: Debian trixie's, with its modules)" },
    initrd: { type: "string", multiple: true, value: "FILE", help: "Initrd archive (default: the agent's)" },
    ...MACHINE_OPTIONS,
  },
  examples: [
    `npx dutboot boot -- 'dut.image=10.0.2.2:5000/test:1 dut.insecure=10.0.2.2:5000 dut.run="echo hello"'`,
    "npx dutboot boot --kernel bzImage --initrd rootfs.cpio.gz --memory 512 --silence 30s -- 'quiet'",
    "npx dutboot boot --extra-file /etc/dutboot/credentials/s3=./aws.ini --disk cache.qcow2,qcow2 -- 'dut.image=…'",
    "npx dutboot boot --times 50",
  ],
  run: bootAsAsked,
};

async function bootAsAsked(input: CommandInput): Promise<number> {
  if (input.operands.length > 1) {
    throw new UsageError("Cannot use several operands: quote the command line as one argument after `--`");
  }
  const machine = await readMachine(input);
  const signal = catchInterrupts();
  const toolsRoot = await prepareToolsRoot(signal);
  const { kernel, initrds } = await unlessAborted(chooseBootFiles(input), signal);
  return repeatBoots(input, signal, async () => {
    const runDirectory = await claimRun();
    return runDut({
      toolsRoot,
      kernel,
      initrds,
      commandLine: input.operands[0] ?? "",
      machine,
      runDirectory,
      signal,
    });
  });
}

/** Our modules fit only our kernel: with another kernel the agent boots without them. */
async function chooseBootFiles(input: CommandInput): Promise<{ kernel: string; initrds: string[] }> {
  const given = input.text("kernel");
  const kernel = given === undefined ? undefined : parseFile("kernel", given);
  const initrds = input.texts("initrd").map((path) => parseFile("initrd", path));
  if (kernel !== undefined && initrds.length > 0) return { kernel, initrds };
  const ours = await prepareBootFiles();
  if (initrds.length > 0) return { kernel: ours.kernel, initrds };
  if (kernel === undefined) return { kernel: ours.kernel, initrds: [ours.initrd, ours.modules] };
  console.log("boot: no modules are added for your kernel; pass them with --initrd if it needs any");
  return { kernel, initrds: [ours.initrd] };
}
