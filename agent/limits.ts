/**
 * Every number that bounds something, with its unit in the name and its reason beside it.
 * Code takes a limit as an overridable option, so that a test of it takes milliseconds.
 */

const KiB = 1024;
const MiB = 1024 * KiB;

/** x86 kernels cut the command line at 2,048 bytes without a word. */
export const CMDLINE_MAX_BYTES = 2048;
export const MANIFEST_MAX_BYTES = 4 * MiB;

// Console and reports
/** Of the test's output, what may stand in front of an agent's line, in time of the console's own rate: the verdict is out within 3 s. */
export const CONSOLE_QUEUE_MS = 1_500;
/** Of it, the last lines of a burst that was longer; they come on top. */
export const CONSOLE_TAIL_SHARE = 0.2;
/** What the kernel and the line are given ahead of time: it can no longer be left out. */
export const CONSOLE_AHEAD_MS = 100;
/** At 9600 baud, two seconds. */
export const CONSOLE_QUEUE_MIN_BYTES = 2 * KiB;
/** Of lines that are kept whatever the rate, and of the test's on a console without a rate of its own. */
export const CONSOLE_QUEUE_MAX_BYTES = MiB;
/** A screen, a virtual console, a file: faster than anybody reads, slow enough to cost nothing beside the test. */
export const CONSOLE_UNBOUND_BYTES_PER_SECOND = MiB;
/** One write to a console that no rate bounds: as the kernel cuts it. */
export const CONSOLE_WRITE_BYTES = 2 * KiB;
/** As long as the longest line that editors and test suites print on purpose; more of one line tells nobody more. */
export const CONSOLE_LINE_MAX_BYTES = 4 * KiB;
/** A line without an end is shown as far as it is: a prompt, a word before a long wait. */
export const CONSOLE_OPEN_LINE_MS = 200;
/** States of a progress bar that never ends its line. */
export const CONSOLE_STATE_MS = 10_000;
/** A terminal that was full. */
export const CONSOLE_RETRY_MS = 10;
/** A console that takes nothing for so long holds up nobody any more. */
export const CONSOLE_STUCK_MS = 5_000;
/** A USB adapter behind a hub appears within seconds of its driver; one that was forgotten never does. */
export const SERIAL_WAIT_MS = 60_000;
export const SERIAL_LOOK_MS = 500;
/** Between two looks for drivers of devices that have appeared meanwhile. */
export const SERIAL_MODULES_MS = 5_000;
/** The agent's first lines, for a console that appears later. */
export const CONSOLE_HISTORY_BYTES = 8 * KiB;
/** A test that writes a line in pieces does so at once; one that asks a question waits for an answer. */
export const CONSOLE_HOLD_MS = 1_000;
/** Of a container's output, in the kernel: what users may have without asking. */
export const OUTPUT_PIPE_BYTES = MiB;
/** Of the log's copy over the network while nobody takes it: minutes of a loud test. What is lost is counted. */
export const NETWORK_LOG_QUEUE_BYTES = 8 * MiB;
export const NETWORK_LOG_CHUNK_BYTES = 64 * KiB;
/** Of one numbered line; a longer one goes in pieces. Syslog collectors take 8 KiB without being told otherwise. */
export const NETWORK_LOG_LINE_BYTES = 4 * KiB;
export const NETWORK_LOG_RETRY_MS = 1_000;
export const NETWORK_LOG_RETRY_MAX_MS = 10_000;
/** Between two complaints about lines that were lost. */
export const NETWORK_LOG_TELL_LOST_MS = 30_000;
/** A reader that takes nothing for so long is gone, though nothing says so. */
export const NETWORK_LOG_STALL_MS = 30_000;
/** What the machine's end waits for the last lines to leave. */
export const NETWORK_LOG_FLUSH_MS = 5_000;
/** One request or object of the log: what a break costs to send again, and how late a proxy that buffers makes it. */
export const NETWORK_LOG_PART_MS = 10_000;
export const NETWORK_LOG_PART_BYTES = MiB;
/** UDP has no brakes: 3 MB/s in portions that a collector's default buffer holds; a refusal comes back within the pause. */
export const SYSLOG_UDP_PORTION_BYTES = 64 * KiB;
export const SYSLOG_UDP_PAUSE_MS = 20;
/** TCP says what the other machine has, not what its program has read: those lines are sent again after a break. */
export const SYSLOG_TCP_TRUST_MS = 5_000;
/** Between two looks at what is still on its way. */
export const SYSLOG_TCP_LOOK_MS = 500;
/** Kernel messages in the log's copy: late enough to cost nothing, early enough to be live. */
export const KERNEL_LOG_POLL_MS = 250;
/** The same for the file among the results: nobody looks at it live, and the kernel's buffer holds minutes. */
export const KERNEL_LOG_FILE_POLL_MS = 1_000;
/** A record of /dev/kmsg is at most 8 KiB, escapes and all. */
export const KERNEL_LOG_RECORD_BYTES = 8 * KiB;
export const PROGRESS_INTERVAL_MS = 2_000;
/** Samples of memory and CPU: fine enough for a picture of a boot, and after some ten minutes half as many. */
export const SAMPLE_INTERVAL_MS = 2_000;
export const SAMPLES_PER_PACE = 300;
/** A host that has not read its events by then is not listening. */
export const EVENT_PORT_PATIENCE_MS = 2_000;
/** Time a phase has to come back after its deadline, before it is left behind: killing a container takes up to 10 s. */
export const ABORT_GRACE_MS = 20_000;
/** The results of a job that ran into its deadline are still worth a wait, but not the farm's night. */
const UPLOAD_LIMIT_MS = 10 * 60_000;
/** Phases that are tried even after the job's deadline, and how long where the job does not say. */
export const OWN_LIMITS_MS: Readonly<Record<string, number>> = {
  upload: UPLOAD_LIMIT_MS,
  end: UPLOAD_LIMIT_MS,
};
/** After ten seconds of silence people, and some farms' watchdogs, begin to wonder; a check and a busy moment come before. */
export const LIFE_SIGN_MS = 8_500;
export const LIFE_SIGN_CHECK_MS = 500;
/** A file system with less room counts as full: whoever wants to write has been told so by then, or will be. */
export const FULL_BELOW_BYTES = 128 * 1024;
/** How often the agent shows its keeper that it lives, which waits for two minutes (initrd/files/run-agent). */
export const LIFE_NUMBER_MS = 3_000;
/** Of results on the cache: less than this free, and they stay in RAM, for the store and the test's own root need the room. */
export const RESULTS_RESERVE_BYTES = 128 * MiB;
/** Of a log, what comes back into RAM when the cache goes: events of hours, not what a test printed. */
export const LOG_BACK_MAX_BYTES = 16 * MiB;
/** A command line, a few phases and a verdict are some KiB. */
export const JOURNAL_MAX_BYTES = 256 * KiB;
export const BOOT_TEXT_MAX_LENGTH = 16 * KiB;
export const PHASES_MAX = 32;
/** Boots of one line that do not end, one after the other, before the next is refused: a farm that reboots by itself must notice. */
export const BOOT_LOOP_DEATHS = 5;
/** Of pstore: firmware keeps some hundred KiB, a reserved piece of memory some MiB. */
export const PSTORE_MAX_BYTES = 8 * MiB;
/** What earlier boots left, and how much of this job's time it may take. */
export interface PreviousBootLimits {
  timeMs: number;
  attempts: number;
  keptBoots: number;
  keptBytes: number;
  reserveBytes: number;
}
export const PREVIOUS_BOOT_LIMITS: PreviousBootLimits = {
  // At 100 Mbit/s two gigabytes; what takes longer holds up somebody else's job for too long.
  timeMs: 3 * 60_000,
  // A service that is down for three jobs is not the place any more.
  attempts: 3,
  // Of jobs whose service no later job used.
  keptBoots: 8,
  keptBytes: 2048 * MiB,
  reserveBytes: RESULTS_RESERVE_BYTES,
};
/** More streams than a DUT has cores to unpack them gain nothing, and each holds its buffers. */
export const LAYERS_AT_A_TIME = 3;
/** A file that changes while it goes up is taken anew so often. */
export const RESULT_TRIES = 3;
/** Smaller files are uploaded from memory; four at a time are 32 MiB. */
export const RESULT_HELD_BYTES = 8 * MiB;
/** A file written to this shortly before may be written to again within one tick of the file system's clock. */
export const FILE_STAMP_TRUST_MS = 1_000;
/** Of each further file once the place has not answered for one: what is lost is told sooner. */
export const HURRIED_RETRY = { budgetMs: 5_000, firstContactBudgetMs: 5_000 };
/** Manifest and verdict behind an upload that ran out of time; within ABORT_GRACE_MS. */
export const LAST_RECORDS_LIMIT_MS = 15_000;
/** Files in a row that a place which is gone does not take; no further one is tried. */
export const UPLOAD_FAILURES_MAX = 12;
/** Files that an error of the upload names; the manifest names all. */
export const UPLOAD_TOLD_FILES = 5;
/** Of results while the test runs, where the job does not say: what a hang may lose. */
export const RESULTS_SYNC_MS = 30_000;
/** A file that changes all the time is sent at this rate on average: S3 knows no appending, each time it is sent whole. */
export const SYNC_FILE_BYTES_PER_SECOND = 256 * KiB;
/** All files together while the test runs, in case the network is part of what it tests. */
export const SYNC_BYTES_PER_SECOND = 2 * MiB;
/** A walk over very many files takes no more than this share of a core. */
export const SYNC_SCAN_SHARE = 0.01;
/** Files in a row that cannot be sent before the others wait for the next turn. */
export const SYNC_FAILURES_MAX = 3;
/** The next turn is the next try. */
export const SYNC_RETRY = { budgetMs: 0, firstContactBudgetMs: 0 };
/** For what is on its way at the end of the test: an upload that is broken off may still arrive, behind a later one. */
export const SYNC_STOP_GRACE_MS = 10_000;
/** One report of ours about the job; what takes longer is not waited for. */
export const OWN_RESULT_LIMIT_MS = 60_000;
/** Results are many small files: a few at a time hide the round trips. */
export const UPLOADS_AT_A_TIME = 4;
/** Share of memory that the store in RAM may take; the kernel's own default of one half is too small for a 430 MB image in 1 GiB. */
export const RAM_STORE_SHARE = 0.8;

/** At an interactive shell, of output that may be the beginning of a secret: shorter than anybody notices. */
export const REDACTION_HOLD_MS = 50;

// Test results as JUnit XML
/** GitLab refuses a report of more than 250,000 objects; a case with its attributes and its reason has about ten. */
export const JUNIT_MAX_CASES = 15_000;
/** GitLab takes 30 MB a file; names are read by people, so a third of it is much. */
export const JUNIT_MAX_BYTES = 10 * MiB;
export const JUNIT_MAX_SUITES = 500;
export const JUNIT_NAME_MAX_CHARS = 1_000;
/** Of a failure's own words: a screen or two. */
export const JUNIT_DETAILS_MAX_CHARS = 8_000;
/** Of one line of a result file; what is longer is no result. */
export const JUNIT_LINE_MAX_BYTES = 16 * KiB;
/** Of a file in XML, which is parsed in one go: a second here, ten on a small board. */
export const JUNIT_XML_MAX_BYTES = 10_000_000;
/** Of all reading of results: what is there by then is told, within OWN_RESULT_LIMIT_MS. */
export const RESULT_READ_LIMIT_MS = 40_000;
/** Of a file in lines: ten million results of deqp-runner are not shown to anybody. */
export const RESULT_FILE_MAX_BYTES = 512 * MiB;
/** A test that leaves more files than these has no results in most of them. */
export const RESULT_FILES_MAX = 1_000;
/** Of a failed step's log, its end. */
export const STEP_LOG_TAIL_BYTES = 6 * KiB;
/** testsuites, suites in suites, testcase, failure: nobody nests deeper. */
export const JUNIT_XML_MAX_DEPTH = 32;
/** Lines around a failure that are shown with it. */
export const TAP_DIAGNOSTIC_LINES = 40;
/** Results of subtests that wait for the line of the test they belong to. */
export const TAP_WAITING_MAX_CASES = 20_000;
export const TAP_MAX_DEPTH = 16;

// Network
export interface RetryLimits {
  /** How long the same step is tried again without any progress. */
  budgetMs: number;
  /** The same for a host that never answered: its name is more likely wrong than its network slow. */
  firstContactBudgetMs: number;
  firstDelayMs: number;
  maxDelayMs: number;
  /** A server's Retry-After is honoured up to this. */
  maxRetryAfterMs: number;
  /** Bytes that count as progress and renew the budget. */
  progressBytes: number;
  connectTimeoutMs: number;
  /** No byte for this long is silence. */
  silenceMs: number;
  /** Below `minBytesPerWindow` in `windowMs` of waiting is a trickle, though it is never silent (containerd#11650). */
  windowMs: number;
  minBytesPerWindow: number;
}

export const RETRY_LIMITS: RetryLimits = {
  // A switch port that negotiates, a registry that restarts: minutes, not hours.
  budgetMs: 5 * 60_000,
  firstContactBudgetMs: 60_000,
  firstDelayMs: 500,
  maxDelayMs: 20_000,
  maxRetryAfterMs: 60_000,
  progressBytes: MiB,
  connectTimeoutMs: 10_000,
  silenceMs: 30_000,
  // 1 KiB/s: a modem's speed, so that only what is broken falls below it.
  windowMs: 60_000,
  minBytesPerWindow: 60 * KiB,
};
export const MAX_REDIRECTS = 5;
/** Read of an error's body for its message; the rest is of no use to anyone. */
export const ERROR_BODY_MAX_BYTES = 64 * KiB;
/** Signed redirects to object stores carry some KiB of token in one header. */
export const RESPONSE_HEADERS_MAX_BYTES = 64 * KiB;
/** Buffered of a response before the socket is paused; larger chunks cost less for each byte. */
export const RESPONSE_BUFFER_BYTES = MiB;
/** One piece of an upload: the unit in which its progress is seen. */
export const UPLOAD_CHUNK_BYTES = 256 * KiB;
/** Registries answer with tokens of some hundred bytes to some KiB. */
export const TOKEN_MAX_BYTES = 256 * KiB;
/** Of an image's config: environment, labels, history. Real ones are below 100 KiB. */
export const IMAGE_CONFIG_MAX_BYTES = 8 * MiB;
/** Where a token server names no lifetime, the specification says 60 s. */
export const TOKEN_LIFETIME_MS = 60_000;
/** A token this near its end is renewed first. */
export const TOKEN_LEEWAY_MS = 10_000;
/** overlayfs takes 500 lower layers at most; Docker itself stops at 127. */
export const IMAGE_MAX_LAYERS = 500;

// S3
/** Objects above this go up in parts; it is also what one upload holds in memory. */
export const S3_PART_BYTES = 8 * MiB;
/** Two hide the round trip between parts; more only hold memory. */
export const S3_PARTS_AT_A_TIME = 2;
/** Putting the parts together takes some services minutes. */
export const S3_COMPLETE_SILENCE_MS = 5 * 60_000;
/** The protocol's bound; parts grow where it would be passed. */
export const S3_MAX_PARTS = 10_000;
export const S3_MAX_KEY_BYTES = 1024;
/** A page of a listing holds 1,000 keys of at most 1 KiB, escaped. */
export const S3_XML_MAX_BYTES = 16 * MiB;

// Trees and composefs images
/** mkcomposefs's bounds (lcfs-writer.h): what it would refuse has no digest to compare with. */
export const FILE_NAME_MAX_BYTES = 255;
export const SYMLINK_MAX_BYTES = 4095;
export const INLINE_CONTENT_MAX_BYTES = 5000;
export const XATTR_NAME_MAX_BYTES = 255;
export const XATTRS_MAX_BYTES = 32_767;
export const DUMP_XATTRS_MAX_BYTES = 65_535;
/** A path of 4,096 bytes has no more parts; the walks over a tree recurse this deep. */
export const TREE_MAX_DEPTH = 2048;
/** Of a dump held in memory as one text; a dump of 100,000 files is about 30 MiB. */
export const DUMP_MAX_BYTES = 256 * MiB;

// The store
export const READ_CHUNK_BYTES = MiB;
/** Sealing waits for the disk: a few at a time keep it busy. */
export const SEALS_AT_A_TIME = 4;
/** A USB disk or an NVMe drive behind a bridge takes a few seconds to appear. */
export const CACHE_DEVICE_WAIT_MS = 10_000;

// Archives and their unpacking
/** A Debian root has 10,000, the largest images known some 500,000; each costs the kernel about 1 KiB. */
export const ARCHIVE_MAX_ENTRIES = 2_000_000;
/** PATH_MAX without its NUL: what the kernel takes in one call. */
export const ARCHIVE_PATH_MAX_BYTES = 4095;
/** All that stands before one member (pax records, long names): 64 KiB a value, and real files have a few of those. */
export const TAR_HEADER_MAX_BYTES = MiB;
/** pax, long name, long link, a global header: nobody needs more of them before one member. */
export const TAR_HEADERS_PER_ENTRY = 16;
/** deflate reaches 1,032:1 at best; zstd goes beyond only for nothing but zeros. */
export const ARCHIVE_MAX_RATIO = 1100;
/** An archive may hold this much without a word about its ratio: one file of zeros is no bomb. */
export const ARCHIVE_RATIO_FREE_BYTES = 1024 * MiB;
/** 128 MiB, the most that `zstd` itself takes without being told and `zstd --ultra -22` needs. */
export const ZSTD_WINDOW_LOG_MAX = 27;
/** gzip at the default of 16 KiB is 40 % slower; beyond 1 MiB nothing is gained. */
export const DECOMPRESS_CHUNK_BYTES = MiB;
/** Of xz, which wants 65 MB for `xz -9`. */
export const XZ_MAX_MEMORY_BYTES = 256 * MiB;
/** One buffer on its way to a worker thread, and how many of them a stream has: its whole memory on the way. */
export const UNPACK_BUFFER_BYTES = MiB;
export const UNPACK_BUFFERS = 4;
/** Of buffers that were handed on, before their memory is collected. */
export const COLLECT_BUFFERS_BYTES = 8 * MiB;
/** With fewer files than these a look through all memory finds too little. */
export const COLLECT_FILES = 20_000;
/** More workers than cores gain nothing; each holds about 15 MB and a decompression window. */
export const UNPACK_WORKERS_MAX = 3;
/** An idle worker holds memory that the test may need. */
export const UNPACK_WORKER_IDLE_MS = 2_000;
/** A tree of more members leaves so much behind in its worker (about 1 KB each) that the worker is ended at once. */
export const UNPACK_WORKER_KEEP_FILES = 20_000;
/** Directories kept open while unpacking: members of one directory mostly follow each other. */
export const OPEN_DIRECTORIES_MAX = 64;

// Machine: modules, network, clock
/** Three passes find what hangs below a bus driver; more means devices that come and go. */
export const MODULE_PASSES_MAX = 8;
/** Between two passes: virtio and PCI probe within a call, USB hubs in some 100 ms. */
export const MODULE_SETTLE_MS = 100;
/** From power-on to a lease: a USB adapter that appears late, a switch port in spanning tree (30 s), a slow server. */
export const NETWORK_WAIT_MS = 120_000;
/** Of a job that fetches nothing: what is there has a link and a lease by then. */
export const NETWORK_UNNEEDED_WAIT_MS = 10_000;
/** Other interfaces with a link get this long after the first lease; they go on in the background. */
export const NETWORK_OTHERS_WAIT_MS = 1_500;
export const NETWORK_POLL_MS = 200;
/** A mirror that is not there must not cost a job its time: the registry itself is asked then. */
export const MIRROR_BUDGET_MS = 10_000;
/** An NFS server sends at most this much at a time. */
export const FILE_READ_BYTES = MiB;
/** A server that is just starting, and a switch that holds a new link back for half a minute. */
export const NFS_ANSWER_MS = 60_000;
export const NFS_RETRY_MS = 1_000;
/** The kernel itself goes on for minutes where a server answers but its MOUNT service does not. */
export const NFS_MOUNT_MS = 60_000;
/** A neighbour answers within milliseconds; the gateway of a link that just came up takes a few seconds. */
export const NETCONSOLE_ANSWER_MS = 5_000;
/** Rare enough for a slow console, frequent enough that nobody takes the wait for a hang. */
export const NETWORK_PROGRESS_MS = 5_000;
/** A look at all devices costs some 10 ms. */
export const NETWORK_RESCAN_MS = 1_000;
/** An `ip` command only talks to the kernel. */
export const NETWORK_COMMAND_MS = 10_000;
/** A disk that has to be recovered first, a server that is slow. */
export const FILE_SYSTEM_MOUNT_MS = 60_000;
/** A server in the same building answers within milliseconds; the boot waits this long for all of them together. */
export const NTP_WAIT_MS = 5_000;
export const NTP_RETRY_MS = 1_000;
export const NTP_SERVERS_MAX = 4;
/** boot2container's: three tries of five seconds for the peer that a line names. */
export const NTP_PEER_TRIES = 3;
/** From another board's disk or over a network: a swap file of many GB is allocated, or read back, in minutes. */
export const SWAP_COMMAND_MS = 5 * 60_000;
export const SWAP_DEVICE_WAIT_MS = 10_000;
export const DEVICE_POLL_MS = 100;
/** A server of the same farm; also what each step of the handshake may take. */
export const NBD_CONNECT_MS = 10_000;
/** A request that no answer came to: then the device fails reads and writes, and its file system says so. */
export const NBD_REQUEST_MS = 60_000;
/** Of a credential: a CA bundle of a whole distribution is 220 KiB. */
export const CREDENTIAL_MAX_BYTES = MiB;

// Container and the machine's end
/** What a test gets between SIGTERM and the kill, to write its last words. */
export const CONTAINER_GRACE_MS = 5_000;
/** systemd gives its services up to 90 s; those that need more than this have lost their machine's trust already. */
export const INIT_GRACE_MS = 30_000;
/** A killed process is gone in milliseconds, unless it waits in the kernel. */
export const CONTAINER_KILL_WAIT_MS = 5_000;
/** Output still in the pipe once the test is gone; whoever holds the pipe open longer is a stray. */
export const CONTAINER_DRAIN_MS = 2_000;
/** Memory the test cannot take: the agent (50 MB at rest), its buffers, the kernel's own needs. */
export const MEMORY_RESERVE_BYTES = 128 * MiB;
/** A full pipe (64 KiB) and a megabyte of queue at 115,200 baud are gone after 95 s. */
export const UART_DRAIN_MS = 10_000;
/** A disk of some hundred MB/s writes back a cache of gigabytes; a dead NFS server never answers. */
export const SYNC_WAIT_MS = 60_000;
/** A record of crun holds one path and one reason. */
export const RUNTIME_RECORD_MAX_BYTES = 8 * KiB;
/** podman's default for containers. */
export const CONTAINER_OPEN_FILES = 1_048_576;
/** Of a file with environment variables; the kernel takes 128 KiB in one string. */
export const ENV_FILE_MAX_BYTES = MiB;
/** Of an image's passwd or group file: thousands of users still fit. */
export const USER_FILE_MAX_BYTES = MiB;
/** From here on a line is worth a warning: the boot loader, the kernel and its built-in words add theirs. */
export const CMDLINE_WARN_BYTES = 1800;
/** A job of thousands of variables is a tenth of it. */
export const JOB_FILE_MAX_BYTES = MiB;

// zstd:chunked
/** containers/storage's own bound on a table of contents; ours is read entry by entry, not held whole. */
export const TOC_MAX_BYTES = 150 * MiB;
/** The bound on an archive's members, and as many chunks again. */
export const TOC_MAX_ENTRIES = 4_000_000;
/** An entry has a path, perhaps 32 KiB of xattrs in base64, and digests. */
export const TOC_ENTRY_MAX_BYTES = 256 * KiB;
export const TAR_SPLIT_MAX_BYTES = 512 * MiB;
/** Base64 of the largest header we take, and of the 1 MiB pieces that padding comes in. */
export const TAR_SPLIT_LINE_MAX_BYTES = 4 * MiB;
/** Of bytes behind an archive's end, as vbatts/tar-split cuts them. */
export const TAR_SPLIT_SEGMENT_BYTES = 2 * MiB;
/** A chunk is compressed whole in memory; the rolling sum makes them 64 KiB on average. */
export const CHUNK_MAX_BYTES = 4 * MiB;
/** Headers of members without content, gathered to one frame. */
export const PACK_LITERAL_MAX_BYTES = MiB;
export const ZSTD_OUTPUT_BYTES = 128 * KiB;
/** nginx takes 8 KiB of a header line, some proxies 4: then many ranges are no error but slow. */
export const RANGE_HEADER_MAX_BYTES = 3_500;
/** A part of an answer brings about 150 bytes of its own; reading on over a small gap is as cheap. */
export const RANGE_GAP_BYTES = 256;
export const RANGE_PART_COST_BYTES = 150;
/** A round trip of 20 ms at 100 Mbit/s, with some in flight at once. */
export const RANGE_REQUEST_COST_BYTES = 64 * KiB;
/** Above this share of the whole, one stream without seams is faster. */
export const PARTIAL_PULL_MAX_SHARE = 0.8;
/** Between two parts of a multipart answer. */
export const MULTIPART_HEADER_MAX_BYTES = 8 * KiB;
/** A frame decoded in one piece; the packers' are 64 KiB on average and 4 MiB at most. */
export const FRAME_IN_MEMORY_MAX_BYTES = 8 * MiB;
/** Both tables of a blob, compressed, in memory: 200,000 files; beyond that the whole is taken. */
export const CHUNKED_TABLES_MAX_BYTES = 32 * MiB;
/** Requests for ranges in flight: they hide each other's round trips, and each buffers a megabyte. */
export const RANGE_REQUESTS_AT_A_TIME = 4;
/** Compressed; a chunk that comes in several pieces is held until it is whole. */
export const CHUNK_FRAME_MAX_BYTES = 8 * MiB;
/** Compressed frames of tar headers wait in memory for their turn: 90 bytes a file. */
export const HEADER_FRAMES_MAX_BYTES = 32 * MiB;
/** Between two looks at what arrived, while a tar is put together and hashed. */
export const REBUILD_SLICE_MS = 20;
/** Files too small for an object, kept so that they need not be fetched; a system has some hundred. */
export const SMALL_CONTENTS_MAX_BYTES = 4 * MiB;
/** Tables of other archives that are searched for chunks of changed files; reading one of a large image takes 100 ms. */
export const CHUNK_TABLES_SEARCHED = 3;
/** Tables of contents, compressed, about a megabyte for each layer. */
export const TABLES_MAX_BYTES = 64 * MiB;

// Volumes
/** Small files cost a round trip each: a few at a time hide it, more would only queue at the service. */
export const VOLUME_TRANSFERS_AT_A_TIME = 8;
/** Of files on their way up, which the S3 client holds whole or in two parts. */
export const VOLUME_TRANSFER_BUFFER_BYTES = 32 * MiB;
/** Of mirrors that follow changes. */
export interface LiveMirrorLimits {
  settleMs: number;
  busyFileMs: number;
  scanShare: number;
  rescanMs: number;
  pollMs: number;
  retryFirstMs: number;
  retryMostMs: number;
}
export const LIVE_MIRROR_LIMITS: LiveMirrorLimits = {
  // Between a change and the look at it, and again until a file is still: what a test writes in one go goes up once.
  settleMs: 1_000,
  // A log that is never still goes up this often all the same.
  busyFileMs: 30_000,
  // A walk over a large volume takes its time: no more than this share of a core.
  scanShare: 0.1,
  // Without any sign of a change: for signs that the kernel dropped.
  rescanMs: 60_000,
  // S3 gives no sign of a change, and neither do directories beyond the kernel's watches.
  pollMs: 10_000,
  // After a failure, doubled from the first to the second.
  retryFirstMs: 2_000,
  retryMostMs: 60_000,
};
/** A file that changes while it goes up is sent again so often. */
export const VOLUME_CHANGED_FILE_TRIES = 3;
/** inotify takes about 1 KiB of kernel memory a directory; beyond, the walk finds what changed. */
export const VOLUME_WATCHES_MAX = 20_000;
/** Of a listing, which is held in memory: about 300 bytes each. */
export const VOLUME_MAX_OBJECTS = 1_000_000;
/** Files that are told by name in one run; the rest is counted. */
export const VOLUME_TOLD_FILES = 10;
