/** Error codes of the job: the command line, the job file, credentials and local sources. */
import { defineErrors } from "./definition.ts";

export const JOB_ERRORS = defineErrors({
  CMDLINE_UNKNOWN_OPTION: {
    means:
      "An option with our prefix has an unknown name. It is refused because a misspelled limit or digest would otherwise have no effect",
    blame: "job",
    hint: "Correct the option's name; `dutboot --help` lists all of them",
  },
  CMDLINE_BAD_VALUE: {
    means: "An option's value does not have the form that the option needs",
    blame: "job",
    hint: "Correct the option's value; `dutboot --help` shows an example",
  },
  CMDLINE_MISSING_OPTION: {
    means: "An option needs another option that is missing, such as results in S3 without an S3 service",
    blame: "job",
    hint: "Add the missing option to the kernel command line or the job file",
  },
  CMDLINE_UNTERMINATED_QUOTE: {
    means:
      "The command line ends inside double quotes. A quote is missing, or a boot loader has cut the line",
    blame: "job",
    hint: "Close the quote; if the line is correct where you wrote it, check whether the boot loader cuts it",
  },
  JOB_FILE_INVALID: {
    means:
      "The job file is not YAML or JSON with one level of names and values, is too large, or has an option that is allowed only on the command line",
    blame: "job",
    hint: "Write the options' names without dut., each with a value or a list (docs/job.schema.json)",
  },
  JOB_FILE_DIGEST_MISMATCH: {
    means: "The sha256 of the fetched job file differs from the one on the command line",
    blame: "job",
    hint: "Update the sha256 on the command line, or serve the file that it belongs to",
  },
  CMDLINE_MAY_BE_CUT: {
    means:
      "The command line is so long that a boot loader may have cut it, and it has no end marker. What is left could run another test and pass",
    blame: "job",
    hint: "Add dut.end as the last word, or move the options into a job file and leave dut.job=URL on the line",
  },
  CMDLINE_LOADER_ESCAPES: {
    means:
      "A boot loader has changed quotes or backslashes of the command line, and it is not certain what was written",
    blame: "job",
    hint: "In GRUB write the line with single quotes only where needed and without backslashes, or move it into a job file (dut.job=URL)",
  },
  CMDLINE_MIXED_DIALECTS: {
    means: "The line has options of two dialects that cannot be combined",
    blame: "job",
    hint: "Write the job in one dialect; `dutboot explain` shows in which dialect a line is read",
  },
  JOB_TIMEOUT: {
    means: "The job reached its time limit (dut.timeout) while the test was not running",
    blame: "infra",
    hint: "Increase dut.timeout, or look in the phase table for the phase that was slow",
  },
  SOURCE_NOT_FOUND: {
    means: "A file of the initrd or of an NFS export does not exist or is not a regular file",
    blame: "job",
    hint: "Correct the file's path, or put the file there",
  },
  SOURCE_READ_FAILED: {
    means: "A file of the initrd or of an NFS export could not be read completely",
    blame: "infra",
    hint: "Check the disk or the server that has the file",
  },
  SOURCE_UNKNOWN: {
    means: "Sources with this URL scheme cannot be fetched here",
    blame: "job",
    hint: "Use https://, http://, s3://, nfs:// or file:",
  },
  CREDENTIAL_BAD_FILE: {
    means: "A credential exists but cannot be read",
    blame: "config",
    hint: "Provide the credential again: a file of at most 1 MiB, or base64 in an SMBIOS string",
  },
  JOB_BOOT_LOOP: {
    means:
      "The machine booted this job several times in a row and no boot reached its end. The results of these boots are uploaded, and the job is not run again",
    blame: "test",
    hint: "Check the results of the earlier boots: the ends of dutboot.log and kernel.log show why the machine went down. After this verdict the job can run again",
  },
});
