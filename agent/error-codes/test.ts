/**
 * Error codes. The test and what it leaves: containers, volumes, results.
 */
import { defineErrors } from "./definition.ts";

export const TEST_ERRORS = defineErrors({
  VOLUME_BAD_NAME: {
    means: "A volume's name could lead out of the place where volumes lie",
    blame: "job",
    hint: "Name volumes by letters, digits, dot, dash and underscore",
  },
  VOLUME_UNUSABLE: {
    means: "A volume's directory or content could not be made, read or changed",
    blame: "infra",
    hint: "Look at the cache device: it may be full or damaged",
  },
  VOLUME_NO_FILE_SYSTEM: {
    means: "A volume is to lie on a file system that the job does not define",
    blame: "job",
    hint: "Define the file system that the volume names",
  },
  VOLUME_NO_ALIAS: {
    means: "A volume is mirrored with an S3 service that the job does not define",
    blame: "job",
    hint: "Define the S3 service that the volume's mirror names",
  },
  VOLUME_BAD_KEY: {
    means: "A volume's key is not of the length or in the encoding that it must have",
    blame: "job",
    hint: "Give the key in the length and encoding that the message names",
  },
  VOLUME_KEY_MISSING: {
    means: "The volume on the cache is encrypted, and the job gives no key for it",
    blame: "job",
    hint: "Give the volume's fscrypt_key",
  },
  VOLUME_WRONG_KEY: {
    means: "The volume on the cache is encrypted with another key",
    blame: "job",
    hint: "Correct the volume's fscrypt_key, or let fscrypt_reset_key wipe the volume",
  },
  VOLUME_ENCRYPTION_UNSUPPORTED: {
    means: "A volume has a key, but the file system under it cannot encrypt",
    blame: "config",
    hint: "Keep volumes with a key on a cache device with ext4's encrypt feature",
  },
  VOLUME_MIRROR_FAILED: {
    means: "Some files of a volume could not be pulled from S3 or pushed to it, after all tries",
    blame: "infra",
    hint: "Look at the S3 service, and at the files that the log names above",
  },
  VOLUME_NO_SOURCE: {
    means: "A step binds a path of the DUT that is not there",
    blame: "job",
    hint: "Correct the path, or use a named volume",
  },
  VOLUME_BAD_MOUNT: {
    means: "A mount has an option that is not supported",
    blame: "job",
    hint: "Leave the mount option away",
  },
  TEST_TIMEOUT: {
    means:
      'The job\'s limit, or that of phase "run", passed while the test ran. The test was told to stop, then killed with everything it had started; its results went out',
    blame: "test",
    hint: "Raise dut.timeout or dut.timeout.run, or find what hangs: the log ends where it stood",
  },
  TEST_OUT_OF_MEMORY: {
    means:
      "The kernel killed a process of the test because the memory that the test may take ran out, and the test failed; its exit code stands beside it. A test that passes all the same is a pass, with a warning",
    blame: "test",
    hint: "Let the test need less memory, or give the machine more, or swap (dut.swap)",
  },
  RESULTS_NO_SPACE: {
    means:
      "The test failed, and the results folder was full by then: by its own files, or by the log of what it printed. What is there goes out",
    blame: "test",
    hint: "Write and print less, or give the machine more memory: results lie in memory where there is no cache device",
  },
  UPLOAD_REFUSED: {
    means: "The server does not take the results",
    blame: "config",
    hint: "Give a token that may write there in the credential results-token, or correct dut.results",
  },
  UPLOAD_FILE_CHANGED: {
    means: "A file changed while it was uploaded, each time it was tried",
    blame: "test",
    hint: "Do not write to results after the test has ended",
  },
  UPLOAD_INCOMPLETE: {
    means: "Some files of the results are not where they should be; manifest.json there names them",
    blame: "infra",
    hint: "Look at the lines of phase upload in the log: they say why",
  },
  UPLOAD_MISMATCH: {
    means: "The place for the results took a file and keeps other bytes than it was sent",
    blame: "infra",
    hint: "Look at the server that the results go to, and at what stands before it",
  },
  UPLOAD_FAILED: {
    means: "The results could not be written where they should go",
    blame: "infra",
    hint: "Look at the server that the results go to: its disk, its log",
  },
  RUN_NO_COMMAND: {
    means: "Neither the job nor the image says what to run",
    blame: "job",
    hint: "Give dut.run, or an image with an entrypoint",
  },
  RUN_COMMAND_NOT_FOUND: {
    means: "The command is not in the root, or is none that this machine can execute",
    blame: "job",
    hint: "Check dut.run and the image: the program must be in it and be executable",
  },
  RUN_BAD_SETTING: {
    means: "A setting of a container cannot be read",
    blame: "job",
    hint: "Correct the container's settings in the job",
  },
  RUN_NO_WORKDIR: {
    means: "The directory that a step starts in is not in the root",
    blame: "job",
    hint: "Make the directory in the image, bind something there, or name another one",
  },
  RUN_NO_FILE: {
    means: "A device or file that a step needs is not on the DUT",
    blame: "job",
    hint: "Check the path: it is one of the DUT, not of the image",
  },
  RUN_CONTAINER_FAILED: {
    means: "The container runtime could not start the container",
    blame: "infra",
    hint: "Look at the runtime's message; the kernel may lack a feature",
  },
  RUN_CONTAINER_STUCK: {
    means: "Processes of the test survived SIGKILL, which only a kernel or driver that hangs can cause",
    blame: "infra",
    hint: "Look at the kernel's log: a process that cannot be killed waits for a driver or a server",
  },
});
