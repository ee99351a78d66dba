/**
 * Error codes. The root and what it is made of: archives, layers, composefs images, the store.
 */
import { defineErrors } from "./definition.ts";

export const ROOT_ERRORS = defineErrors({
  ROOT_NO_DIRECTORY: {
    means: "The root is to be a directory of the initrd, which has no such directory",
    blame: "job",
    hint: "Add the initrd archive that brings the directory along, or correct its path",
  },
  ROOT_DIGEST_MISMATCH: {
    means: "The composefs image made of what was pulled has another fs-verity digest than the job names",
    blame: "job",
    hint: "The image is not the one the digest was made of: correct the digest, or pull by the manifest's digest too",
  },
  ROOT_DIGEST_NOT_VERIFIED: {
    means:
      "The job names a composefs digest, but the root is made in a way that has none, so the digest cannot be enforced",
    blame: "job",
    hint: "Leave dut.root=overlay away, or boot a kernel with EROFS, loop devices and overlayfs",
  },
  ROOT_COMPOSEFS_UNAVAILABLE: {
    means: "The job wants a composefs root, and this kernel or store cannot mount one",
    blame: "config",
    hint: "Boot a kernel with EROFS, loop devices and overlayfs, or let dut.root=auto choose",
  },
  STORE_NO_DEVICE: {
    means: "The cache device that the job names is not there or cannot be mounted",
    blame: "config",
    hint: "Attach or label the cache device, or run the job with dut.cache=none",
  },
  STORE_DEVICE_FOREIGN: {
    means:
      "The named device holds something that is not ours, and the job does not allow to format it. Nothing was changed on it",
    blame: "job",
    hint: "Say dut.cache_format=yes beside dut.cache to let the agent format this very device; all its data would be lost",
  },
  STORE_FORMAT_FAILED: {
    means: "Formatting the cache device failed",
    blame: "infra",
    hint: "Look at the disk: its own message stands above",
  },
  STORE_OBJECT_CORRUPT: {
    means:
      "Something the store had verified is damaged or gone: the cache device changed it, or a file of the root could not be read during the test",
    blame: "infra",
    hint: "Look at the cache device: what the agent put there is damaged or gone",
  },
  STORE_LOCKED: {
    means: "Another agent that is alive holds the store's lock",
    blame: "infra",
    hint: "Give every DUT a cache device of its own, or wait for the other agent to end",
  },
  COMPOSEFS_DUMP_FIELD: {
    means: "A line of a composefs dump has a field that is missing or wrong",
    blame: "job",
    hint: "Correct the line: PATH SIZE MODE NLINK UID GID RDEV MTIME PAYLOAD CONTENT DIGEST [KEY=VALUE…]",
  },
  COMPOSEFS_DUMP_ESCAPE: {
    means: "A line of a composefs dump has an escape that is none",
    blame: "job",
    hint: "Correct the escape: \\\\, \\n, \\r, \\t or \\x and two hex digits",
  },
  COMPOSEFS_DUMP_PATH: {
    means: "A path of a composefs dump is not absolute, not normal, or stands twice",
    blame: "job",
    hint: "Start with the line of / and write each directory once, before what is in it",
  },
  COMPOSEFS_DUMP_HARDLINK: {
    means: "A hard link of a composefs dump leads to something that is no file",
    blame: "job",
    hint: "Let the hard link name a file that the dump has",
  },
  COMPOSEFS_DUMP_TOO_LARGE: {
    means: "The dump is larger than can be taken",
    blame: "job",
    hint: "Leave files out: so large a dump is not read into memory",
  },
  COMPOSEFS_TREE_UNSUPPORTED: {
    means: "Something in the tree has no place in the EROFS format",
    blame: "job",
    hint: "Change or leave out the file: no composefs image can hold it",
  },
  LAYER_TREE_INVALID: {
    means: "A layer's tree contradicts itself",
    blame: "job",
    hint: "Push the image again with a current tool",
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
    hint: "Make the archive again without `--sparse` and without members of special formats",
  },
  ARCHIVE_UNSAFE_MEMBER: {
    means: "A member of the archive would be written outside of the root; nothing was",
    blame: "job",
    hint: "Do not trust this archive: it tries to write outside of its destination",
  },
  ARCHIVE_BAD_MEMBER: {
    means: "A member of the archive conflicts with an existing file",
    blame: "job",
    hint: "Make the archive again: members must not contradict each other",
  },
  ARCHIVE_LIMIT_EXCEEDED: {
    means: "The archive exceeds a size, depth or entry limit",
    blame: "job",
    hint: "Check what made the archive; real ones stay far below the limit",
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
    hint: "Give sha256= of the archive beside toc=, or pack it by `dutboot pack` and serve it with support for Range",
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
    means: "There is no space for the root in RAM or on the cache device, whichever the job uses",
    blame: "job",
    hint: "Give the machine more memory or a cache device, or make the image smaller",
  },
  ROOT_WRITE_FAILED: {
    means: "A file of the root could not be written",
    blame: "infra",
    hint: "Look at the kernel log for the state of the disk",
  },
  ROOT_TOOL_FAILED: {
    means: "A program of the initrd that helps with the root failed",
    blame: "bug",
    hint: "Report this with the full log: a program of the initrd did not do its work",
  },
  ROOT_MOUNT_FAILED: {
    means: "The root could not be mounted",
    blame: "infra",
    hint: "Look at the kernel log: it says which option overlayfs refused",
  },
  ROOT_UNMOUNT_FAILED: {
    means: "The root could not be unmounted, because something still uses it",
    blame: "test",
    hint: "Look for processes that the test left behind",
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
    hint: "Cut the layer in several: its table of contents is too large",
  },
});
