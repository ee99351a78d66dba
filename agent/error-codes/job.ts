/**
 * Error codes. What a job says: the command line, the job file, credentials, and sources that are not there.
 */
import { defineErrors } from "./definition.ts";

export const JOB_ERRORS = defineErrors({
  CMDLINE_UNKNOWN_OPTION: {
    means:
      "An option with our prefix has a name that the agent does not know. It is refused rather than ignored: a misspelt limit or digest would be no limit and no check",
    blame: "job",
    hint: "Correct the option's name; `dutboot --help` lists all of them",
  },
  CMDLINE_BAD_VALUE: {
    means: "An option's value cannot be read in the form that the option has",
    blame: "job",
    hint: "Correct the option's value; `dutboot --help` shows an example",
  },
  CMDLINE_MISSING_OPTION: {
    means:
      "The job asks for something that needs another option beside it, such as results in S3 without an S3 service",
    blame: "job",
    hint: "Add the option to the kernel command line",
  },
  CMDLINE_UNTERMINATED_QUOTE: {
    means:
      "The command line ends inside double quotes; the kernel reads such a line differently from what was meant, and a boot loader may have cut it",
    blame: "job",
    hint: "Close the quote; the command line may also have been cut by the boot loader",
  },
  JOB_FILE_INVALID: {
    means:
      "The job file is no YAML or JSON of one level, is too large, or holds an option that it may not hold",
    blame: "job",
    hint: "Write the options' names without dut., each with a value or a list",
  },
  JOB_FILE_DIGEST_MISMATCH: {
    means: "The job file as served has another sha256 than the command line says",
    blame: "job",
    hint: "Put the sha256 of the file as it is served now on the command line, or serve the file it was made for",
  },
  CMDLINE_MIXED_DIALECTS: {
    means: "Options of two dialects stand on one line, and it would be a guess which one is meant",
    blame: "job",
    hint: "Write the job in one dialect: `dutboot explain` says which one a line is read in",
  },
  JOB_TIMEOUT: {
    means: "The whole job's limit passed while the test was not running",
    blame: "infra",
    hint: "Raise dut.timeout, or look at the phase table for what was slow: the test was not running",
  },
  SOURCE_NOT_FOUND: {
    means: "A file of the initrd or of an NFS export is not there, or is no regular file",
    blame: "job",
    hint: "Correct the file's path, or put the file where the job says it is",
  },
  SOURCE_READ_FAILED: {
    means: "A file of the initrd or of an NFS export could not be read to its end",
    blame: "infra",
    hint: "Look at the disk or the server that the file lies on",
  },
  SOURCE_UNKNOWN: {
    means: "There is no way to fetch a source of this kind here",
    blame: "job",
    hint: "Use https://, http://, s3://, nfs:// or file:",
  },
  CREDENTIAL_BAD_FILE: {
    means: "A credential is there but cannot be read",
    blame: "config",
    hint: "Give the credential again: an intact file below 1 MiB, or base64 in an SMBIOS string",
  },
  JOB_BOOT_LOOP: {
    means:
      "This machine has booted the job several times, one after the other, and never came to its end; what those boots left is uploaded, and the job is not run again",
    blame: "test",
    hint: "Look at the results of the boots before: at the end of dutboot.log and kernel.log is what takes the machine down. The job runs again once this verdict is out",
  },
});
