/**
 * Limits of this room, each with its unit in the name and its reason beside it.
 * Code takes a limit as an overridable option, so that a test of it takes milliseconds.
 */
import { KiB, MiB } from "../units.ts";

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
/** A test that writes a line in pieces writes them at once; one that asks a question waits for an answer. */
export const OUTPUT_HOLD_MS = 1_000;
/** An open line of the test in the network log: it may be a prompt, or the last line before a hang. */
export const NETWORK_LOG_OPEN_LINE_MS = 1_000;
/** Of the log's copy over the network while nobody takes it: minutes of a loud test. What is lost is counted. */
export const NETWORK_LOG_QUEUE_BYTES = 8 * MiB;
export const NETWORK_LOG_CHUNK_BYTES = 64 * KiB;
/** Of one numbered line; a longer one goes in pieces. Syslog collectors take 8 KiB without being told otherwise. */
export const NETWORK_LOG_LINE_BYTES = 4 * KiB;
export const NETWORK_LOG_RETRY_MS = 1_000;
export const NETWORK_LOG_RETRY_MAX_MS = 10_000;
/** Between two warnings about lost lines. */
export const NETWORK_LOG_LOST_INTERVAL_MS = 30_000;
/** A reader that accepts nothing for so long has failed without closing the connection. */
export const NETWORK_LOG_STALL_MS = 30_000;
/** What the machine's end waits for the last lines to leave. */
export const NETWORK_LOG_FLUSH_MS = 5_000;
/** One request or object of the log: what a break costs to send again, and how late a proxy that buffers makes it. */
export const NETWORK_LOG_PART_MS = 10_000;
export const NETWORK_LOG_PART_BYTES = MiB;
/** UDP has no flow control: 3 MB/s in batches that a collector's default buffer holds; a refusal comes back within the pause. */
export const SYSLOG_UDP_BATCH_BYTES = 64 * KiB;
export const SYSLOG_UDP_PAUSE_MS = 20;
/** What is sent again after a break: longer than a collector takes to restart. Readers drop what they have, by its number. */
export const SYSLOG_TCP_RESEND_MS = 30_000;
/** Rare enough to cost nothing, often enough to be live. */
export const KERNEL_LOG_POLL_MS = 250;
/** A record of /dev/kmsg is at most 8 KiB, escapes and all. */
export const KERNEL_LOG_RECORD_BYTES = 8 * KiB;
export const PROGRESS_INTERVAL_MS = 2_000;
/** A host that has not read its events by then is not listening. */
export const EVENT_PORT_PATIENCE_MS = 2_000;
/** How often the agent shows its keeper that it lives, which waits for two minutes (initrd/files/run-agent). */
export const HEARTBEAT_MS = 3_000;
/** Smaller files are uploaded from memory; four at a time are 32 MiB. */
export const RESULT_HELD_BYTES = 8 * MiB;
/** A file written to this shortly before may be written to again within one tick of the file system's clock. */
export const FILE_STAMP_TRUST_MS = 1_000;
/** One report of ours about the job; what takes longer is not waited for. */
export const AGENT_FILE_LIMIT_MS = 60_000;
/** Of all reading of results: what is there by then is told, within AGENT_FILE_LIMIT_MS. */
export const RESULT_READ_LIMIT_MS = 40_000;
/** Of a file in lines: ten million results of deqp-runner are not shown to anybody. */
export const RESULT_FILE_MAX_BYTES = 512 * MiB;
/** A test that leaves more files than these has no results in most of them. */
export const RESULT_FILES_MAX = 1_000;
/** Of a failed step's log, its end. */
export const STEP_LOG_TAIL_BYTES = 6 * KiB;
