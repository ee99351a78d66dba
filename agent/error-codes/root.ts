/** Error codes of the root and its sources: archives, layers, composefs images, the store. */
import { defineErrors } from "./definition.ts";

export const ROOT_ERRORS = defineErrors({
  ROOT_NO_DIRECTORY: {
    means: "The initrd does not have the directory that the job names as the root",
    blame: "job",
    hint: "Add the initrd archive with the directory, or correct its path",
  },
  ROOT_DIGEST_MISMATCH: {
    means: "The fs-verity digest of the composefs image differs from the one in the job",
    blame: "job",
    hint: "Correct the digest, or name the image by its manifest's digest: the tag may have moved",
  },
  ROOT_DIGEST_NOT_VERIFIED: {
    means:
      "The job names a composefs digest, but the root is not a composefs image, so the digest cannot be verified",
    blame: "job",
    hint: "Remove dut.root=overlay, or boot a kernel with EROFS, loop devices and overlayfs",
  },
  ROOT_COMPOSEFS_UNAVAILABLE: {
    means: "The job requires a composefs root, and this kernel or store cannot mount one",
    blame: "config",
    hint: "Boot a kernel with EROFS, loop devices and overlayfs, or let dut.root=auto choose",
  },
  STORE_NO_DEVICE: {
    means: "The cache device that the job names is missing or cannot be mounted",
    blame: "config",
    hint: "Attach or label the cache device, or run the job with dut.cache=none",
  },
  STORE_DEVICE_FOREIGN: {
    means:
      "The named device has data that is not ours, and the job does not allow formatting it. The device was not changed",
    blame: "job",
    hint: "Add dut.cache_format=yes to let the agent format the device named in dut.cache; all its data would be lost",
  },
  STORE_FORMAT_FAILED: {
    means: "Formatting the cache device failed",
    blame: "infra",
    hint: "Check the disk; the log has the program's message before this error",
  },
  STORE_OBJECT_CORRUPT: {
    means:
      "Verified content of the store was damaged or lost: the cache device changed it, or a file of the root could not be read during the test",
    blame: "infra",
    hint: "Check the cache device, which changed or lost what the agent wrote",
  },
  STORE_LOCKED: {
    means: "Another running agent holds the store's lock",
    blame: "infra",
    hint: "Give every DUT its own cache device, or wait until the other agent ends",
  },
  COMPOSEFS_DUMP_FIELD: {
    means: "A line of a composefs dump has a missing or invalid field",
    blame: "job",
    hint: "Correct the line: PATH SIZE MODE NLINK UID GID RDEV MTIME PAYLOAD CONTENT DIGEST [KEY=VALUE…]",
  },
  COMPOSEFS_DUMP_ESCAPE: {
    means: "A line of a composefs dump has an invalid escape sequence",
    blame: "job",
    hint: "Correct the escape: \\\\, \\n, \\r, \\t or \\x and two hex digits",
  },
  COMPOSEFS_DUMP_PATH: {
    means: "A path of a composefs dump is not absolute, not normalized, or not unique",
    blame: "job",
    hint: "Write the line of / first, and each directory once, before its content",
  },
  COMPOSEFS_DUMP_HARDLINK: {
    means: "The target of a hard link in a composefs dump is not a file",
    blame: "job",
    hint: "Correct the hard link: its target must be a file of the dump",
  },
  COMPOSEFS_DUMP_TOO_LARGE: {
    means: "The dump exceeds the size limit",
    blame: "job",
    hint: "Remove files: the dump is read into memory",
  },
  COMPOSEFS_TREE_UNSUPPORTED: {
    means: "The EROFS format cannot store a file of the tree",
    blame: "job",
    hint: "Change or remove the file: no composefs image can contain it",
  },
  LAYER_TREE_INVALID: {
    means: "The image lacks a directory that its composefs digest needs",
    blame: "job",
    hint: "Give the image a directory /usr, or leave out its composefs digest",
  },
  ARCHIVE_UNKNOWN_FORMAT: {
    means: "The data is not a tar archive, plain or compressed with gzip, xz or zstd",
    blame: "job",
    hint: "Make it a tar archive: plain, gzip, xz or zstd",
  },
  ARCHIVE_CORRUPT: {
    means: "The data of an archive is corrupt",
    blame: "job",
    hint: "Make and upload the archive again: its bytes are damaged",
  },
  ARCHIVE_TRUNCATED: {
    means: "The archive is truncated",
    blame: "job",
    hint: "Make and upload the archive again: its end is missing",
  },
  ARCHIVE_UNSUPPORTED_MEMBER: {
    means: "An archive has a member of a kind that cannot be unpacked",
    blame: "job",
    hint: "Make the archive again in the pax or GNU format, as one volume",
  },
  ARCHIVE_UNSAFE_MEMBER: {
    means: "A member of the archive would be written outside of the root; nothing was",
    blame: "job",
    hint: "Do not trust this archive: it tries to write outside of its destination",
  },
  ARCHIVE_BAD_MEMBER: {
    means: "A member of the archive conflicts with another, or with an existing file",
    blame: "job",
    hint: "Make the archive again: members must not contradict each other",
  },
  ARCHIVE_LIMIT_EXCEEDED: {
    means: "The archive exceeds a size, depth or entry limit",
    blame: "job",
    hint: "Check the program that made the archive; real archives are far below the limit",
  },
  ARTIFACT_DIGEST_MISMATCH: {
    means: "The sha256 of an archive is not the one in the job; the archive is not used",
    blame: "job",
    hint: "Compare sha256= of the artifact with the file on the server",
  },
  ARTIFACT_PARTIAL_PULL_FAILED: {
    means:
      "The job has only the digest of an archive's table of contents, and a partial pull is not possible",
    blame: "job",
    hint: "Add sha256= of the archive, or pack it with `dutboot pack` and serve it with support for Range",
  },
  ARTIFACT_SIZE_MISMATCH: {
    means: "The size of an archive is not the one that the server announced",
    blame: "infra",
    hint: "Check the server's storage and any caching proxy before it",
  },
  LAYER_DIGEST_MISMATCH: {
    means: "The digest of a layer is not the one in the manifest; the layer is not used",
    blame: "infra",
    hint: "Check the registry's storage and any caching proxy before it",
  },
  LAYER_SIZE_MISMATCH: {
    means: "The size of a layer is not the one in the manifest",
    blame: "infra",
    hint: "Check the registry's storage and any caching proxy before it",
  },
  LAYER_DIFFID_MISMATCH: {
    means: "The uncompressed digest of a layer is not the DiffID in the image config",
    blame: "job",
    hint: "Push the image again: its config and its layers do not belong together",
  },
  ROOT_NO_SPACE: {
    means: "The RAM or the cache device has no space left for the root",
    blame: "job",
    hint: "Give the machine more memory or a cache device, or make the image smaller",
  },
  ROOT_WRITE_FAILED: {
    means: "A file of the root could not be written",
    blame: "infra",
    hint: "Check the kernel log for errors of the disk",
  },
  ROOT_TOOL_FAILED: {
    means: "A program of the initrd failed while preparing the root",
    blame: "bug",
    hint: "Report this with the full log",
  },
  ROOT_MOUNT_FAILED: {
    means: "The root could not be mounted",
    blame: "infra",
    hint: "Check the kernel log: it names the option that overlayfs refused",
  },
  ROOT_UNMOUNT_FAILED: {
    means: "The root could not be unmounted, because something still uses it",
    blame: "test",
    hint: "Check which processes the test left behind",
  },
  CHUNKED_BAD_ANNOTATION: {
    means: "A zstd:chunked layer's annotations cannot be used; a full download is used where possible",
    blame: "job",
    hint: "Push the image again with a current tool",
  },
  CHUNKED_BAD_TOC: {
    means: "A zstd:chunked table of contents is damaged or contradicts itself",
    blame: "job",
    hint: "Push the image, or pack the archive, again",
  },
  CHUNKED_BAD_TAR_SPLIT: {
    means: "A zstd:chunked layer's record of its tar headers is damaged or contradicts itself",
    blame: "job",
    hint: "Push the image, or pack the archive, again",
  },
  CHUNKED_BAD_FRAME: {
    means: "A file of a zstd:chunked archive does not have the sha256 in the table of contents",
    blame: "job",
    hint: "Push the image, or pack the archive, again",
  },
  CHUNKED_TOO_LARGE: {
    means: "A zstd:chunked table exceeds the size limit",
    blame: "job",
    hint: "Split the layer: its table of contents is too large",
  },
});
