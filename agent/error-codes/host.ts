/** Error codes that the host of a virtual machine reports when the machine gave no verdict. */
import { defineErrors } from "./definition.ts";

export const HOST_ERRORS = defineErrors({
  NO_VERDICT: {
    means:
      "The machine ended without a valid final record of this boot: it is missing, truncated, contradictory or from another boot; verdict lines on the console do not count",
    blame: "infra",
    hint: "Check the end of the console: the machine was ended from outside, or the agent could no longer write",
  },
  KERNEL_PANIC: {
    means: "The machine's kernel panicked before there was a verdict",
    blame: "infra",
    hint: "Check the console before the panic: a driver under test, an initrd that does not fit in memory, or the machine itself",
  },
  WATCHDOG_RESET: {
    means:
      "The hardware watchdog reset the machine because the supervisor stopped feeding it: the kernel or all programs hung",
    blame: "infra",
    hint: "Check the end of the console: what started last probably hangs",
  },
  CONSOLE_SILENT: {
    means: "The machine's console was silent for longer than the host allows, so the host ended the machine",
    blame: "infra",
    hint: "Check that the command line names the console; otherwise what was shown last probably hangs",
  },
  MACHINE_TIMEOUT: {
    means: "The machine was still running at the host's limit for the whole run, so the host ended it",
    blame: "infra",
    hint: "Raise the host's limit above the job's (dut.timeout), or check on the console what does not end",
  },
  QEMU_FAILED: {
    means: "QEMU did not start, or failed",
    blame: "infra",
    hint: "Check QEMU's own message, its options, and the host's memory and disks",
  },
});
