/**
 * Error codes. What the host of a virtual machine says in place of a verdict that never came.
 */
import { defineErrors } from "./definition.ts";

export const HOST_ERRORS = defineErrors({
  NO_VERDICT: {
    means:
      "The machine went off without its final record, or with one that is torn, contradicts itself or is of another boot; words on the console count for nothing",
    blame: "infra",
    hint: "Look at the end of the console: somebody else ended the machine, or the agent could not speak any more",
  },
  KERNEL_PANIC: {
    means: "The kernel of the machine panicked before there was a verdict",
    blame: "infra",
    hint: "Look at the console above the panic: a driver that is tested, an initrd that does not fit into memory, or the machine itself",
  },
  WATCHDOG_RESET: {
    means: "The machine's watchdog was not fed any more and reset it: the kernel, or all programs, hung",
    blame: "infra",
    hint: "Look at the end of the console: what began last is what hangs",
  },
  CONSOLE_SILENT: {
    means: "The machine's console showed nothing for the time that the host allows, so the host ended it",
    blame: "infra",
    hint: "Check that the command line names the console; else what was shown last is what hangs",
  },
  MACHINE_TIMEOUT: {
    means:
      "The machine was still running when the host's limit for the whole run had passed, so the host ended it",
    blame: "infra",
    hint: "Raise the host's limit above the job's (dut.timeout), or look at the console for what goes on for ever",
  },
  QEMU_FAILED: {
    means: "QEMU did not start, or broke down",
    blame: "infra",
    hint: "Look at QEMU's own message: its options, and the host's memory and disks",
  },
});
