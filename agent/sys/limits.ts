/**
 * Limits of this room, with the unit in the name and the reason beside it. Code takes them as options, so that tests are fast.
 */
import { KiB, MiB } from "../units.ts";

/** Pipe of a container's output: the kernel's limit for users. */
export const OUTPUT_PIPE_BYTES = MiB;
/** Samples of memory and CPU: fine enough for a chart of a boot; the interval doubles after ten minutes. */
export const SAMPLE_INTERVAL_MS = 2_000;
export const SAMPLES_PER_PACE = 300;
/** A file system with less free space counts as full. */
export const FULL_BELOW_BYTES = 128 * 1024;
/** pstore: firmware keeps some hundred KiB, reserved memory some MiB. */
export const PSTORE_MAX_BYTES = 8 * MiB;
/** Three passes find the devices below a bus driver; more means devices that come and go. */
export const MODULE_PASSES_MAX = 8;
/** kmod's processes at a time. */
export const MODULE_PROCESSES_MAX = 4;
/** Between two passes: virtio and PCI probe within the call, USB hubs in some 100 ms. */
export const MODULE_SETTLE_MS = 100;
/** From power-on to a lease: a USB adapter that appears late, a switch port in spanning tree (30 s), a slow server. */
export const NETWORK_WAIT_MS = 120_000;
/** For other interfaces with a link, after the first lease; they continue in the background. */
export const NETWORK_OTHERS_WAIT_MS = 1_500;
/** For the interface that BOOTIF names; then all are used. */
export const NETWORK_BOOT_INTERFACE_WAIT_MS = 15_000;
export const NETWORK_POLL_MS = 200;
/** A server that is starting, or a switch that blocks a new link for half a minute. */
export const NFS_ANSWER_MS = 60_000;
export const NFS_RETRY_MS = 1_000;
/** The kernel waits for minutes where a server answers but its MOUNT service does not. */
export const NFS_MOUNT_MS = 60_000;
/** A neighbour answers within milliseconds, a gateway behind a new link within seconds. */
export const NETCONSOLE_ANSWER_MS = 5_000;
/** Rare enough for a slow console, frequent enough to show that the boot does not hang. */
export const NETWORK_PROGRESS_MS = 5_000;
/** Listing all devices takes some 10 ms. */
export const NETWORK_RESCAN_MS = 1_000;
/** An `ip` command only talks to the kernel. */
export const NETWORK_COMMAND_MS = 10_000;
/** A disk may need recovery, a server may be slow. */
export const FILE_SYSTEM_MOUNT_MS = 60_000;
/** For all servers together; a server nearby answers within milliseconds. */
export const NTP_WAIT_MS = 5_000;
export const NTP_RETRY_MS = 1_000;
export const NTP_SERVERS_MAX = 4;
/** As boot2container: three tries of five seconds for a peer named in the job. */
export const NTP_PEER_TRIES = 3;
/** Allocating or reading back a swap file of many GB takes minutes. */
export const SWAP_COMMAND_MS = 5 * 60_000;
export const SWAP_DEVICE_WAIT_MS = 10_000;
export const DEVICE_POLL_MS = 100;
/** The connection, and each step of the handshake. */
export const NBD_CONNECT_MS = 10_000;
/** Then the device fails the request, and its file system reports an error. */
export const NBD_REQUEST_MS = 60_000;
/** A distribution's CA bundle has 220 KiB. */
export const CREDENTIAL_MAX_BYTES = MiB;
/** From SIGTERM to SIGKILL. */
export const CONTAINER_GRACE_MS = 5_000;
/** For an init, which stops its services first. */
export const INIT_GRACE_MS = 30_000;
/** A killed process ends in milliseconds, unless it waits in the kernel. */
export const CONTAINER_KILL_WAIT_MS = 5_000;
/** For the rest of the output when the test has ended. */
export const CONTAINER_DRAIN_MS = 2_000;
/** The UART's and the driver's buffers are short; a held line never drains. */
export const UART_DRAIN_MS = 10_000;
/** Enough for gigabytes of page cache; a dead NFS server never answers. */
export const SYNC_WAIT_MS = 60_000;
/** crun's record has one path and one reason. */
export const RUNTIME_RECORD_MAX_BYTES = 8 * KiB;
/** podman's default for containers. */
export const CONTAINER_OPEN_FILES = 1_048_576;
/** A file with environment variables; the kernel takes 128 KiB per string. */
export const ENV_FILE_MAX_BYTES = MiB;
/** An image's passwd or group file: enough for thousands of users. */
export const USER_FILE_MAX_BYTES = MiB;
