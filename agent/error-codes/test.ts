/** Error codes of the test and its surroundings: containers, volumes, results. */
import { defineErrors } from "./definition.ts";

export const TEST_ERRORS = defineErrors({
  VOLUME_BAD_NAME: {
    means: "A volume's name is invalid",
    blame: "job",
    hint: "Use only letters, digits, dots, dashes and underscores in the names of volumes",
  },
  VOLUME_UNUSABLE: {
    means: "A volume's directory or content could not be created, read or changed",
    blame: "infra",
    hint: "Check the cache device: it may be full or damaged",
  },
  VOLUME_NO_FILE_SYSTEM: {
    means: "A volume names a file system that the job does not define",
    blame: "job",
    hint: "Define the file system, or correct its name in the volume",
  },
  VOLUME_NO_ALIAS: {
    means: "A volume's mirror names an S3 service that the job does not define",
    blame: "job",
    hint: "Define the S3 service, or correct its alias in the volume",
  },
  VOLUME_BAD_KEY: {
    means: "A volume's key has the wrong length or encoding",
    blame: "job",
    hint: "Give the key in the length and encoding that the message names",
  },
  VOLUME_KEY_MISSING: {
    means: "The volume on the cache device is encrypted, and the job has no key for it",
    blame: "job",
    hint: "Give the volume's fscrypt_key",
  },
  VOLUME_WRONG_KEY: {
    means: "The volume on the cache device is encrypted with another key, or has unencrypted files",
    blame: "job",
    hint: "Correct the volume's fscrypt_key, or set fscrypt_reset_key to delete the volume's content",
  },
  VOLUME_ENCRYPTION_UNSUPPORTED: {
    means: "A volume has a key, but its file system does not support encryption",
    blame: "config",
    hint: "Use a cache device whose ext4 has the encrypt feature",
  },
  VOLUME_MIRROR_FAILED: {
    means: "Some files of a volume could not be pulled from S3 or pushed to it, after all retries",
    blame: "infra",
    hint: "Check the S3 service, and the files that the log names before this error",
  },
  VOLUME_NO_SPACE: {
    means: "The cache device or the RAM has no space left for the files that a volume pulls from S3",
    blame: "job",
    hint: "Give the machine more memory or a cache device, pull fewer files, or let volumes expire",
  },
  VOLUME_NO_SOURCE: {
    means: "A step binds a path that the DUT does not have",
    blame: "job",
    hint: "Correct the path, or use a named volume",
  },
  VOLUME_BAD_MOUNT: {
    means: "A mount has an unsupported option",
    blame: "job",
    hint: "Remove the mount option",
  },
  TEST_TIMEOUT: {
    means:
      'The limit of the job or of phase "run" passed while the test ran. The test was stopped, all its processes were killed, and its results were uploaded',
    blame: "test",
    hint: "Raise dut.timeout or dut.timeout.run, or find what hangs at the end of the log",
  },
  TEST_OUT_OF_MEMORY: {
    means:
      "The test failed after the kernel killed one of its processes, because it reached its memory limit; the test's exit code is reported too. A test that passes all the same is a pass with a warning",
    blame: "test",
    hint: "Reduce the test's memory use, or give the machine more memory or swap (dut.swap)",
  },
  RESULTS_NO_SPACE: {
    means:
      "The test failed, and the results directory was full, with the test's files or the log of its output. Its content is uploaded",
    blame: "test",
    hint: "Write and print less, or give the machine more memory: without a cache device, results are in memory",
  },
  UPLOAD_REFUSED: {
    means: "The server refuses the results",
    blame: "config",
    hint: "Give a token with write access in the credential results-token, or correct dut.results",
  },
  UPLOAD_FILE_CHANGED: {
    means: "A file changed during each attempt to upload it",
    blame: "test",
    hint: "Do not write to the results directory after the test has ended",
  },
  UPLOAD_INCOMPLETE: {
    means: "Some files of the results were not uploaded; manifest.json at the destination names them",
    blame: "infra",
    hint: "Check the log of phase upload for the reason",
  },
  UPLOAD_MISMATCH: {
    means: "The destination of the results accepted a file but stored other bytes",
    blame: "infra",
    hint: "Check the server that stores the results, and any proxy before it",
  },
  UPLOAD_FAILED: {
    means: "The results could not be written to their destination",
    blame: "infra",
    hint: "Check the disk and the log of the server that stores the results",
  },
  RUN_NO_COMMAND: {
    means: "Neither the job nor the image has a command",
    blame: "job",
    hint: "Give dut.run, or use an image with an entrypoint",
  },
  RUN_COMMAND_NOT_FOUND: {
    means: "The command is not in the root, or this machine cannot execute it",
    blame: "job",
    hint: "Check dut.run and the image: the program must exist, be executable and be built for this architecture",
  },
  RUN_BAD_SETTING: {
    means: "A setting of a container is invalid",
    blame: "job",
    hint: "Correct the container's settings in the job",
  },
  RUN_NO_WORKDIR: {
    means: "The root does not have a step's working directory",
    blame: "job",
    hint: "Create the directory in the image, mount something there, or name another one",
  },
  RUN_NO_FILE: {
    means: "The DUT does not have a device or file that a step needs",
    blame: "job",
    hint: "Check the path: it is on the DUT, not in the image",
  },
  RUN_CONTAINER_FAILED: {
    means: "The container runtime could not start the container",
    blame: "infra",
    hint: "Check the runtime's message; the kernel may lack a feature",
  },
  RUN_CONTAINER_STUCK: {
    means: "Processes of the test survived SIGKILL, which only a hanging kernel or driver can cause",
    blame: "infra",
    hint: "Check the kernel's log: such a process waits for a driver or a server",
  },
});
