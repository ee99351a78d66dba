/**
 * Limits of this room, each with its unit in the name and its reason beside it.
 * Code takes a limit as an overridable option, so that a test of it takes milliseconds.
 */
import { KiB, MiB } from "../units.ts";

/** The test's output before an agent's line, by the console's rate: the verdict is printed within 3 s. */
export const CONSOLE_QUEUE_MS = 1_500;
/** In addition, the share of it for the last lines of a burst. */
export const CONSOLE_TAIL_SHARE = 0.2;
/** Written ahead of the line's rate: it can no longer be elided. */
export const CONSOLE_AHEAD_MS = 100;
/** Two seconds at 9600 baud. */
export const CONSOLE_QUEUE_MIN_BYTES = 2 * KiB;
/** For lines that are never elided, and for consoles without a rate. */
export const CONSOLE_QUEUE_MAX_BYTES = MiB;
/** For screens, virtual consoles and files: faster than a user can read, slow enough not to slow the test down. */
export const CONSOLE_UNBOUND_BYTES_PER_SECOND = MiB;
/** One write to a console without a rate, as the kernel splits it. */
export const CONSOLE_WRITE_BYTES = 2 * KiB;
/** Longer than the lines that test suites print on purpose. */
export const CONSOLE_LINE_MAX_BYTES = 4 * KiB;
/** Then an open line is shown: it may be a prompt. */
export const CONSOLE_OPEN_LINE_MS = 200;
/** Between two states of a progress bar that does not end its line. */
export const CONSOLE_STATE_MS = 10_000;
/** Before the next write to a terminal whose buffer was full. */
export const CONSOLE_RETRY_MS = 10;
/** A console that accepts nothing for so long is not waited for any more. */
export const CONSOLE_STUCK_MS = 5_000;
/** A USB adapter behind a hub appears within seconds of its driver. */
export const SERIAL_WAIT_MS = 60_000;
export const SERIAL_LOOK_MS = 500;
/** Between two scans for devices that need a driver. */
export const SERIAL_MODULES_MS = 5_000;
/** The agent's first lines, for a console that appears later. */
export const CONSOLE_HISTORY_BYTES = 8 * KiB;
/** A test that writes a line in pieces writes them at once; one that asks a question waits for an answer. */
export const OUTPUT_HOLD_MS = 1_000;
/** An open line of the test in the network log: it may be a prompt, or the last line before a hang. */
export const NETWORK_LOG_OPEN_LINE_MS = 1_000;
/** Kept during an outage: minutes of a loud test. */
export const NETWORK_LOG_QUEUE_BYTES = 8 * MiB;
export const NETWORK_LOG_CHUNK_BYTES = 64 * KiB;
/** Longer lines are sent in parts. Syslog collectors accept 8 KiB by default. */
export const NETWORK_LOG_LINE_BYTES = 4 * KiB;
export const NETWORK_LOG_RETRY_MS = 1_000;
export const NETWORK_LOG_RETRY_MAX_MS = 10_000;
/** Between two warnings about lost lines. */
export const NETWORK_LOG_LOST_INTERVAL_MS = 30_000;
/** A reader that accepts nothing for so long has failed without closing the connection. */
export const NETWORK_LOG_STALL_MS = 30_000;
/** At the machine's end, for the last lines. */
export const NETWORK_LOG_FLUSH_MS = 5_000;
/** One request or object: what is sent again after a failure, and the delay of a proxy that buffers. */
export const NETWORK_LOG_PART_MS = 10_000;
export const NETWORK_LOG_PART_BYTES = MiB;
/** UDP has no flow control: 3 MB/s in batches that a collector's default buffer holds; a refusal comes back within the pause. */
export const SYSLOG_UDP_BATCH_BYTES = 64 * KiB;
export const SYSLOG_UDP_PAUSE_MS = 20;
/** What is sent again after a break: longer than a collector takes to restart. Readers drop what they have, by its number. */
export const SYSLOG_TCP_RESEND_MS = 30_000;
/** Rare enough to cost nothing, often enough to be live. */
export const KERNEL_LOG_POLL_MS = 250;
/** A record of /dev/kmsg has at most 8 KiB, with escapes. */
export const KERNEL_LOG_RECORD_BYTES = 8 * KiB;
export const PROGRESS_INTERVAL_MS = 2_000;
/** A host that has not read its events by then has stopped reading. */
export const EVENT_PORT_PATIENCE_MS = 2_000;
/** The supervisor waits for two minutes (initrd/files/supervise-agent). */
export const HEARTBEAT_MS = 3_000;
/** Smaller files are uploaded from memory; four at a time are 32 MiB. */
export const RESULT_HELD_BYTES = 8 * MiB;
/** A file modified more recently may change again without a new time stamp. */
export const FILE_STAMP_TRUST_MS = 1_000;
/** For making one of the agent's files. */
export const AGENT_FILE_LIMIT_MS = 60_000;
/** For reading all test results, within AGENT_FILE_LIMIT_MS. */
export const RESULT_READ_LIMIT_MS = 40_000;
/** Of a file with results: ten million lines of deqp-runner. */
export const RESULT_FILE_MAX_BYTES = 512 * MiB;
/** A test that leaves more files has no results in most of them. */
export const RESULT_FILES_MAX = 1_000;
/** The end of a failed step's log. */
export const STEP_LOG_TAIL_BYTES = 6 * KiB;
