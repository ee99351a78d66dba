/**
 * Every error the agent can end with: a stable code, who must act (the blame) and what to do (the hint).
 * The table is the documentation; tests and farms compare codes, never texts.
 */

/** Who must act. LAVA's error classes are the model: a farm may retry `infra`, and must never retry `test`. */
export const BLAMES = ["infra", "job", "test", "config", "bug"] as const;
export type Blame = (typeof BLAMES)[number];

/** Exit code of a host command whose job ended in an error of ours; a test's own codes stay at or below 200. */
export const EXIT_CODE_BY_BLAME: Readonly<Record<Blame, number>> = {
  infra: 201,
  job: 202,
  test: 203,
  config: 204,
  bug: 205,
};

interface ErrorDefinition {
  blame: Blame;
  hint: string;
}

const defineErrors = <Table extends Record<string, ErrorDefinition>>(table: Table) => table;

export const ERRORS = defineErrors({
  // job: the command line and what it asks for
  CMDLINE_UNKNOWN_OPTION: {
    blame: "job",
    hint: "Correct the option's name; `dutboot --help` lists all of them",
  },
  CMDLINE_BAD_VALUE: { blame: "job", hint: "Correct the option's value; `dutboot --help` shows an example" },
  CMDLINE_MISSING_OPTION: { blame: "job", hint: "Add the option to the kernel command line" },
  CMDLINE_UNTERMINATED_QUOTE: {
    blame: "job",
    hint: "Close the quote; the command line may also have been cut by the boot loader",
  },

  // composefs roots
  ROOT_NO_DIRECTORY: {
    blame: "job",
    hint: "Add the initrd archive that brings the directory along, or correct its path",
  },
  ROOT_DIGEST_MISMATCH: {
    blame: "job",
    hint: "The image is not the one the digest was made of: correct the digest, or pull by the manifest's digest too",
  },
  ROOT_DIGEST_UNCHECKED: {
    blame: "job",
    hint: "Leave dut.root=overlay away, or boot a kernel with EROFS, loop devices and overlayfs",
  },
  ROOT_COMPOSEFS_UNAVAILABLE: {
    blame: "config",
    hint: "Boot a kernel with EROFS, loop devices and overlayfs, or let dut.root=auto choose",
  },
  JOB_FILE_BAD: { blame: "job", hint: "Write the options' names without dut., each with a value or a list" },
  JOB_FILE_DIGEST_MISMATCH: {
    blame: "job",
    hint: "Put the sha256 of the file as it is served now on the command line, or serve the file it was made for",
  },
  IMAGE_STORE_BAD: {
    blame: "config",
    hint: "Fill the store by podman with the overlay driver, and export its root: overlay-images and overlay-layers lie there",
  },
  FILE_SYSTEM_UNMOUNTABLE: {
    blame: "config",
    hint: "Look at the source, type and options of the file system; on the host `mount` with the same words says more",
  },
  CMDLINE_MIXED_DIALECTS: {
    blame: "job",
    hint: "Write the job in one dialect: `dutboot explain` says which one a line is read in",
  },

  // volumes
  VOLUME_BAD_NAME: { blame: "job", hint: "Name volumes by letters, digits, dot, dash and underscore" },
  VOLUME_UNUSABLE: { blame: "infra", hint: "Look at the cache device: it may be full or damaged" },
  VOLUME_NO_FILE_SYSTEM: { blame: "job", hint: "Define the file system that the volume names" },
  VOLUME_NO_ALIAS: { blame: "job", hint: "Define the S3 service that the volume's mirror names" },
  VOLUME_BAD_KEY: { blame: "job", hint: "Give the key in the length and encoding that the message names" },
  VOLUME_KEY_MISSING: { blame: "job", hint: "Give the volume's fscrypt_key" },
  VOLUME_WRONG_KEY: {
    blame: "job",
    hint: "Correct the volume's fscrypt_key, or let fscrypt_reset_key wipe the volume",
  },
  VOLUME_NOT_ENCRYPTABLE: {
    blame: "config",
    hint: "Keep volumes with a key on a cache device with ext4's encrypt feature",
  },
  VOLUME_MIRROR_FAILED: {
    blame: "infra",
    hint: "Look at the S3 service, and at the files that the log names above",
  },
  VOLUME_NO_SOURCE: { blame: "job", hint: "Correct the path, or use a named volume" },
  VOLUME_BAD_MOUNT: { blame: "job", hint: "Leave the mount option away" },

  // the store
  STORE_NO_DEVICE: {
    blame: "config",
    hint: "Attach or label the cache device, or run the job with dut.cache=none",
  },
  STORE_DEVICE_FOREIGN: {
    blame: "job",
    hint: "Say dut.cache_format=yes beside dut.cache to let the agent format this very device; all its data would be lost",
  },
  STORE_FORMAT_FAILED: { blame: "infra", hint: "Look at the disk: its own message stands above" },
  STORE_OBJECT_LOST: {
    blame: "infra",
    hint: "Look at the cache device: what the agent put there is damaged or gone",
  },
  STORE_LOCKED: {
    blame: "infra",
    hint: "Give every DUT a cache device of its own, or wait for the other agent to end",
  },

  // the machine and its initrd
  INITRD_DAMAGED: {
    blame: "infra",
    hint: "Serve the initrd again, or give the machine more memory: a short unpack is silent",
  },
  AGENT_DIED: { blame: "bug", hint: "Report this with the full log" },
  BUG_UNEXPECTED: { blame: "bug", hint: "Report this with the full log" },
  TEST_TIMEOUT: {
    blame: "test",
    hint: "Raise dut.timeout or dut.timeout.run, or find what hangs: the log ends where it stood",
  },
  PHASE_TIMEOUT: {
    blame: "infra",
    hint: "Raise the limit of the phase (dut.timeout.PHASE), or look at the log for what it waited for",
  },
  JOB_TIMEOUT: {
    blame: "infra",
    hint: "Raise dut.timeout, or look at the phase table for what was slow: the test was not running",
  },

  // fetch: HTTP, whatever is fetched
  FETCH_BAD_URL: { blame: "job", hint: "Give an http:// or https:// URL without a user name or password" },
  FETCH_INSECURE_REFUSED: {
    blame: "job",
    hint: "Use https://, or name the host in dut.insecure",
  },
  FETCH_TLS_UNTRUSTED: {
    blame: "config",
    hint: "Give the farm's CA as the credential ca.pem, or name the host in dut.insecure",
  },
  FETCH_TLS_CLOCK: {
    blame: "infra",
    hint: "Compare the DUT's clock with the certificate's dates: offer NTP by DHCP, or renew the certificate",
  },
  FETCH_TLS_FAILED: {
    blame: "infra",
    hint: "Check that the port speaks TLS; a plain HTTP server needs http://",
  },
  FETCH_UNREACHABLE: {
    blame: "infra",
    hint: "Check the host's name, the server, and the DUT's link and name servers",
  },
  FETCH_STALLED: { blame: "infra", hint: "Check the DUT's link and the server's load" },
  FETCH_TOO_SLOW: { blame: "infra", hint: "Check the DUT's link and the server's load" },
  FETCH_BROKEN_OFF: {
    blame: "infra",
    hint: "Look at the server's log, and at any proxy between it and the DUT",
  },
  FETCH_CHANGED: {
    blame: "infra",
    hint: "Somebody replaced the file during the download: run the job again",
  },
  FETCH_WRONG_RANGE: {
    blame: "infra",
    hint: "Repair the server or the proxy before it: it answers ranges wrongly",
  },
  FETCH_NO_RANGES: {
    blame: "infra",
    hint: "Serve the file by a server that knows Range requests; the agent takes it whole where it may",
  },
  FETCH_TOO_MANY_RANGES: {
    blame: "infra",
    hint: "Let the server take request headers of 4 KiB; the agent asks for fewer ranges at a time",
  },
  FETCH_BAD_RESPONSE: { blame: "infra", hint: "Check that host and port are those of an HTTP server" },
  FETCH_REDIRECT_REFUSED: { blame: "infra", hint: "Give the URL that the redirect should lead to" },
  FETCH_TOO_LARGE: { blame: "job", hint: "Check that the URL is the right one" },
  HTTP_UNAUTHORIZED: { blame: "config", hint: "Give the DUT credentials for this host" },
  HTTP_FORBIDDEN: {
    blame: "config",
    hint: "The credentials are known but do not suffice: ask the server's owner",
  },
  HTTP_NOT_FOUND: { blame: "job", hint: "Correct the URL, or make what it names again: it may have expired" },
  HTTP_REJECTED: { blame: "job", hint: "The server takes no such request: check the URL" },
  HTTP_SERVER_ERROR: {
    blame: "infra",
    hint: "Look at the server's log, and at any proxy between it and the DUT",
  },
  HTTP_UNEXPECTED_PAGE: {
    blame: "infra",
    hint: "A login or error page came instead of the file: check the proxy, the portal and the URL",
  },

  // image: what the registry holds
  IMAGE_BAD_REFERENCE: { blame: "job", hint: "Write HOST[:PORT]/NAME[:TAG][@DIGEST]" },
  IMAGE_NOT_FOUND: { blame: "job", hint: "Check name and tag; the registry may also have expired the image" },
  IMAGE_NO_PLATFORM: { blame: "job", hint: "Build and push the image for this machine's architecture" },
  IMAGE_BAD_MANIFEST: { blame: "job", hint: "Push the image again with a current tool" },
  IMAGE_BAD_CONFIG: { blame: "job", hint: "Push the image again with a current tool" },
  IMAGE_MEDIA_TYPE_CONFUSED: {
    blame: "job",
    hint: "Do not trust this image: two tools would read it differently",
  },
  IMAGE_UNSUPPORTED_MEDIA_TYPE: {
    blame: "job",
    hint: "Push the image as OCI or Docker v2 schema 2, gzip or zstd layers",
  },
  IMAGE_DIGEST_MISMATCH: {
    blame: "infra",
    hint: "Check the registry's storage and any caching proxy before it",
  },
  IMAGE_SIZE_MISMATCH: {
    blame: "infra",
    hint: "Check the registry's storage and any caching proxy before it",
  },
  REGISTRY_UNAUTHORIZED: {
    blame: "config",
    hint: "Give the DUT a credential registry.json with an entry for this host",
  },
  REGISTRY_DENIED: {
    blame: "config",
    hint: "Give this user the right to pull; some registries also say so of a missing image",
  },
  REGISTRY_BAD_CHALLENGE: {
    blame: "infra",
    hint: "Check that the host is a registry, and its authentication settings",
  },
  REGISTRY_BAD_TOKEN: { blame: "infra", hint: "Look at the log of the registry's token server" },
  REGISTRY_BLOB_MISSING: { blame: "infra", hint: "Push the image again: the registry lost part of it" },
  REGISTRY_BAD_AUTH_FILE: { blame: "config", hint: "Write the file with `podman login --authfile`" },

  // s3: results and artifacts
  S3_BAD_ENDPOINT: { blame: "job", hint: "Give dut.s3 an http:// or https:// URL without query" },
  S3_BAD_KEY: { blame: "job", hint: 'Leave "." and ".." out of the key, and keep it below 1,024 bytes' },
  S3_BAD_CREDENTIALS: { blame: "config", hint: "Correct the access key and secret in the credential s3" },
  S3_ACCESS_DENIED: { blame: "config", hint: "Give the access key the right to this bucket" },
  S3_NO_BUCKET: { blame: "job", hint: "Correct the bucket's name, or create the bucket" },
  S3_NO_KEY: { blame: "job", hint: "Correct the key" },
  S3_CLOCK_SKEW: {
    blame: "infra",
    hint: "Offer NTP by DHCP: the DUT's clock and the server's differ too much",
  },
  S3_BAD_RESPONSE: { blame: "infra", hint: "Check that dut.s3 names an S3 service" },
  S3_REJECTED: { blame: "infra", hint: "Look at the S3 service's log" },
  S3_SERVER_ERROR: { blame: "infra", hint: "Look at the S3 service's log" },
  S3_UPLOAD_LOST: { blame: "infra", hint: "Look at the S3 service's log: it forgot an upload under way" },
  S3_FILE_CHANGED: { blame: "test", hint: "Do not write to results after the test has ended" },

  // composefs: trees, dumps and images
  COMPOSEFS_DUMP_FIELD: {
    blame: "job",
    hint: "Correct the line: PATH SIZE MODE NLINK UID GID RDEV MTIME PAYLOAD CONTENT DIGEST [KEY=VALUE…]",
  },
  COMPOSEFS_DUMP_ESCAPE: {
    blame: "job",
    hint: "Correct the escape: \\\\, \\n, \\r, \\t or \\x and two hex digits",
  },
  COMPOSEFS_DUMP_PATH: {
    blame: "job",
    hint: "Start with the line of / and write each directory once, before what is in it",
  },
  COMPOSEFS_DUMP_HARDLINK: { blame: "job", hint: "Let the hard link name a file that the dump has" },
  COMPOSEFS_DUMP_TOO_LARGE: {
    blame: "job",
    hint: "Leave files out: so large a dump is not read into memory",
  },
  COMPOSEFS_TREE_UNFIT: {
    blame: "job",
    hint: "Change or leave out the file: no composefs image can hold it",
  },
  LAYER_TREE_BROKEN: { blame: "job", hint: "Push the image again with a current tool" },

  // machine: modules, network, credentials
  NETWORK_BAD_PARAMETER: {
    blame: "job",
    hint: "Write ip= as the kernel's nfsroot.txt says: CLIENT:SERVER:GATEWAY:MASK:HOST:DEVICE:AUTOCONF:DNS:DNS:NTP, or ip=dhcp",
  },
  MACHINE_SWAP_FAILED: {
    blame: "infra",
    hint: "Give swap less room than the cache device has free, or a device that nobody uses",
  },
  MACHINE_NBD_FAILED: { blame: "infra", hint: "Check that the NBD server runs and has a default export" },
  NETWORK_NO_INTERFACE: {
    blame: "infra",
    hint: "Plug in a wired adapter, or add its driver and firmware to the modules archive",
  },
  NETWORK_NO_CARRIER: { blame: "infra", hint: "Check cable, switch port and the adapter's firmware" },
  NETWORK_NO_LEASE: { blame: "infra", hint: "Check the DHCP server, and that the port is in its VLAN" },
  NETWORK_FAILED: { blame: "infra", hint: "Look at the lines of the interface above" },
  FETCH_PROXY_FAILED: { blame: "infra", hint: "Look at the proxy's log, or correct dut.proxy" },
  UPLOAD_REFUSED: {
    blame: "config",
    hint: "Give a token that may write there in the credential results-token, or correct dut.results",
  },
  UPLOAD_FILE_CHANGED: { blame: "test", hint: "Do not write to results after the test has ended" },
  UPLOAD_FAILED: { blame: "infra", hint: "Look at the server that the results go to: its disk, its log" },
  SOURCE_NOT_FOUND: {
    blame: "job",
    hint: "Correct the file's path, or put the file where the job says it is",
  },
  SOURCE_READ_FAILED: { blame: "infra", hint: "Look at the disk or the server that the file lies on" },
  SOURCE_UNKNOWN: { blame: "job", hint: "Use https://, http://, s3://, nfs:// or file:" },
  NFS_NO_PLACE: {
    blame: "config",
    hint: "Write nfsroot=SERVER:/PATH, or have the DHCP server send root-path (option 17) and next-server",
  },
  NFS_UNREACHABLE: { blame: "infra", hint: "Check the NFS server, and that its ports are open to the DUT" },
  NFS_REFUSED: {
    blame: "config",
    hint: "Correct the path, or export it to the DUT in the server's settings",
  },
  NFS_UNSUPPORTED: {
    blame: "config",
    hint: "Boot with a kernel or a modules archive that has the NFS client",
  },
  NFS_MOUNT_FAILED: {
    blame: "infra",
    hint: "Look at the kernel's log: versions and options must suit the server",
  },
  CREDENTIAL_BAD_FILE: {
    blame: "config",
    hint: "Give the credential again: an intact file below 1 MiB, or base64 in an SMBIOS string",
  },

  // run: the container
  IMAGE_UNKNOWN_USER: { blame: "job", hint: "Correct USER in the image, or add the user to it" },
  RUN_NO_COMMAND: { blame: "job", hint: "Give dut.run, or an image with an entrypoint" },
  RUN_COMMAND_NOT_FOUND: {
    blame: "job",
    hint: "Check dut.run and the image: the program must be in it and be executable",
  },
  RUN_BAD_SETTING: { blame: "job", hint: "Correct the container's settings in the job" },
  RUN_NO_WORKDIR: {
    blame: "job",
    hint: "Make the directory in the image, bind something there, or name another one",
  },
  RUN_NO_FILE: {
    blame: "job",
    hint: "Check the path: it is one of the DUT, not of the image",
  },
  RUN_CONTAINER_FAILED: {
    blame: "infra",
    hint: "Look at the runtime's message; the kernel may lack a feature",
  },
  RUN_CONTAINER_STUCK: {
    blame: "infra",
    hint: "Look at the kernel's log: a process that cannot be killed waits for a driver or a server",
  },

  // archives and what is unpacked from them
  ARCHIVE_UNKNOWN_FORMAT: { blame: "job", hint: "Make it a tar archive: plain, gzip, xz or zstd" },
  ARCHIVE_CORRUPT: { blame: "job", hint: "Make and upload the archive again: its bytes are damaged" },
  ARCHIVE_TRUNCATED: { blame: "job", hint: "Make and upload the archive again: its end is missing" },
  ARCHIVE_UNSUPPORTED_MEMBER: {
    blame: "job",
    hint: "Make the archive again without `--sparse` and without members of special formats",
  },
  ARCHIVE_UNSAFE_MEMBER: { blame: "job", hint: "Do not trust this archive: it reaches out of its place" },
  ARCHIVE_BAD_MEMBER: {
    blame: "job",
    hint: "Make the archive again: members must not contradict each other",
  },
  ARCHIVE_LIMIT_EXCEEDED: {
    blame: "job",
    hint: "Check what made the archive; real ones stay far below the limit",
  },
  ARTIFACT_DIGEST_MISMATCH: {
    blame: "job",
    hint: "Compare sha256= of the artifact with the file on the server; what was unpacked of it is not used",
  },
  ARTIFACT_NOT_IN_PARTS: {
    blame: "job",
    hint: "Give sha256= of the archive beside toc=, or pack it by `dutboot pack` and serve it by a server that knows Range",
  },
  ARTIFACT_SIZE_MISMATCH: {
    blame: "infra",
    hint: "Check the server's storage and any caching proxy before it",
  },
  LAYER_DIGEST_MISMATCH: {
    blame: "infra",
    hint: "Check the registry's storage and any caching proxy before it",
  },
  LAYER_SIZE_MISMATCH: {
    blame: "infra",
    hint: "Check the registry's storage and any caching proxy before it",
  },
  LAYER_DIFFID_MISMATCH: {
    blame: "job",
    hint: "Push the image again: its config and its layers do not belong together",
  },

  // the root
  ROOT_NO_SPACE: {
    blame: "job",
    hint: "Give the machine more memory or a cache device, or make the image smaller",
  },
  ROOT_WRITE_FAILED: { blame: "infra", hint: "Look at the kernel log for the state of the disk" },
  ROOT_TOOL_FAILED: {
    blame: "bug",
    hint: "Report this with the full log: a program of the initrd did not do its work",
  },
  ROOT_MOUNT_FAILED: {
    blame: "infra",
    hint: "Look at the kernel log: it says which option overlayfs refused",
  },
  ROOT_UNMOUNT_FAILED: { blame: "test", hint: "Look for processes that the test left behind" },

  // zstd:chunked: layers and archives pulled in parts; a puller falls back to the whole
  CHUNKED_BAD_ANNOTATION: { blame: "job", hint: "Push the image again with a current tool" },
  CHUNKED_BAD_TOC: { blame: "job", hint: "Push the image, or pack the archive, again" },
  CHUNKED_BAD_TAR_SPLIT: { blame: "job", hint: "Push the image, or pack the archive, again" },
  CHUNKED_BAD_FRAME: { blame: "job", hint: "Push the image, or pack the archive, again" },
  CHUNKED_TOO_LARGE: { blame: "job", hint: "Cut the layer in several: its table of contents is too large" },
  MULTIPART_BROKEN: {
    blame: "infra",
    hint: "Look at the proxy between: it does not answer many ranges right",
  },
});

export type ErrorCode = keyof typeof ERRORS;

export interface AgentErrorOptions {
  /** What a reader of the log needs to place the error: offsets, attempts, URLs without secrets. */
  context?: Readonly<Record<string, string | number | boolean>>;
  /** Replaces the table's hint where the place of the error knows better. */
  hint?: string;
  cause?: unknown;
}

/** The one error class: `message` says what was tried and what came back. */
export class AgentError extends Error {
  readonly code: ErrorCode;
  readonly blame: Blame;
  readonly hint: string;
  readonly context: Readonly<Record<string, string | number | boolean>>;

  constructor(code: ErrorCode, message: string, options: AgentErrorOptions = {}) {
    super(message, { cause: options.cause });
    this.name = "AgentError";
    this.code = code;
    this.blame = ERRORS[code].blame;
    this.hint = options.hint ?? ERRORS[code].hint;
    this.context = options.context ?? {};
  }
}

/**
 * Anything thrown becomes an AgentError; what we did not foresee is a bug of ours and keeps its stack as the cause.
 * A full file system can be met by every write, so it is known here.
 */
export function toAgentError(thrown: unknown): AgentError {
  if (thrown instanceof AgentError) return thrown;
  const { code, syscall } = (thrown ?? {}) as { code?: unknown; syscall?: unknown };
  if (code === "ENOSPC" || code === "EDQUOT") {
    const message = `Cannot write any more: there is no room (${syscall ?? "a call"} gave ${code})`;
    return new AgentError("ROOT_NO_SPACE", message, { cause: thrown });
  }
  const text = thrown instanceof Error ? `${thrown.name}: ${thrown.message}` : String(thrown);
  return new AgentError("BUG_UNEXPECTED", `Cannot go on after an unforeseen error: ${text}`, {
    cause: thrown,
  });
}
