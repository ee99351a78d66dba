/**
 * Limits of this room, each with its unit in the name and its reason beside it.
 * Code takes a limit as an overridable option, so that a test of it takes milliseconds.
 */
import { KiB, MiB } from "../units.ts";

/** Of a container's output, in the kernel: what users may have without asking. */
export const OUTPUT_PIPE_BYTES = MiB;
/** Samples of memory and CPU: fine enough for a picture of a boot, and after some ten minutes half as many. */
export const SAMPLE_INTERVAL_MS = 2_000;
export const SAMPLES_PER_PACE = 300;
/** A file system with less room counts as full: whoever wants to write has been told so by then, or will be. */
export const FULL_BELOW_BYTES = 128 * 1024;
/** Of pstore: firmware keeps some hundred KiB, a reserved piece of memory some MiB. */
export const PSTORE_MAX_BYTES = 8 * MiB;
/** Three passes find what hangs below a bus driver; more means devices that come and go. */
export const MODULE_PASSES_MAX = 8;
/** kmod's processes at a time: as many as Node has threads for other file work. */
export const MODULE_PROCESSES_MAX = 4;
/** Between two passes: virtio and PCI probe within a call, USB hubs in some 100 ms. */
export const MODULE_SETTLE_MS = 100;
/** From power-on to a lease: a USB adapter that appears late, a switch port in spanning tree (30 s), a slow server. */
export const NETWORK_WAIT_MS = 120_000;
/** Other interfaces with a link get this long after the first lease; they go on in the background. */
export const NETWORK_OTHERS_WAIT_MS = 1_500;
export const NETWORK_POLL_MS = 200;
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
/** What a test gets between SIGTERM and the kill, to write its last words. */
export const CONTAINER_GRACE_MS = 5_000;
/** systemd gives its services up to 90 s; those that need more than this have lost their machine's trust already. */
export const INIT_GRACE_MS = 30_000;
/** A killed process is gone in milliseconds, unless it waits in the kernel. */
export const CONTAINER_KILL_WAIT_MS = 5_000;
/** Output still in the pipe once the test is gone; whoever holds the pipe open longer is a stray. */
export const CONTAINER_DRAIN_MS = 2_000;
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
