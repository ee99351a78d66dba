/**
 * The Job: everything that one boot has to do, in whatever dialect it is written.
 */
import type { ImageReference } from "../oci/reference.ts";
import type { MachineSettings } from "./machine-settings.ts";
import type { Step } from "./step.ts";
import type { FileSystem, S3Alias, Volume } from "./volume.ts";

/**
 * A URL to fetch from: `https://…`, `http://…`, `s3://BUCKET/KEY` of the job's S3 service, `nfs://SERVER/EXPORT/FILE`, or
 * `file:///PATH` in the initrd.
 */
export type Source = string;

export interface RootArchive {
  url: Source;
  /** Lower-case hex of the archive's bytes as served. */
  sha256?: string;
  /** Lower-case hex, the sha256 of a zstd:chunked archive's table of contents, which allows a partial pull. */
  tableSha256?: string;
}

/** An archive that is unpacked into the root before the test. */
export interface Artifact extends RootArchive {
  /** The absolute path in the root where it is unpacked. */
  to: string;
}

export interface S3Endpoint {
  /** `http://` or `https://` URL of the service. */
  url: string;
  region: string;
}

export interface S3Location {
  bucket: string;
  /** Key prefix without leading or trailing slash; may be empty. */
  prefix: string;
}

export interface NfsExport {
  server: string;
  /** Absolute. */
  path: string;
  /** As in `vers=`: 3, 4, 4.2. */
  version?: string;
  /** Other mount options. */
  options: string[];
}

/** `put` is a URL prefix: each file is uploaded to `PREFIX/NAME`. */
export type ResultsDestination = { s3: S3Location } | { put: string } | { nfs: NfsExport };

export interface HostAndPort {
  host: string;
  port: number;
}

/** `tcp` gets raw bytes, the others numbered lines; `http` is a URL. */
export type LogDestination =
  | { tcp: HostAndPort }
  | { syslog: HostAndPort & { protocol: "udp" | "tcp" } }
  | { http: string }
  | { s3: S3Location };

/** A registry, and the URL that is asked before it. */
export interface RegistryMirror {
  /** `host` or `host:port`. */
  registry: string;
  url: string;
}

/** Where the store is: in RAM, on the device with our label, or on another device. */
export type CacheChoice =
  | "none"
  | "auto"
  | "reset"
  | { label: string }
  | { uuid: string }
  | { device: string };

/** How much the store may keep after a job. */
export type CacheQuota = { bytes: number } | { percent: number };

/** `auto` uses composefs if the kernel supports it, else overlayfs with one directory per layer. */
export type RootDriverChoice = "composefs" | "overlay" | "auto";

export interface SerialPortSettings {
  /** Below /dev. */
  device: string;
  baudRate: number;
}

export type OnExit = "poweroff" | "reboot" | "halt";

export type Dialect = "dut" | "b2c" | "nfsroot";

/** The file tree for steps without an image. */
export type Root = ImageRoot | NfsRoot | ArchiveRoot | InitrdRoot;

export interface ImageRoot {
  image: ImageReference;
  driver: RootDriverChoice;
  /** Hex; the expected fs-verity digest of the image's composefs form. */
  composefsDigest?: string;
}

/** Absent values come from the DHCP answer. */
export interface NfsRoot {
  nfs: {
    server?: string;
    /** Absolute; `%s` is replaced by the DUT's address. */
    path?: string;
    /** As in `vers=`: 3, 4, 4.2. */
    version?: string;
    options: string[];
    /** Mounted read-write, else read-only under an overlay. */
    isWritable: boolean;
  };
}

/** Archives stacked like the layers of an image. */
export interface ArchiveRoot {
  /** At least one, from the lowest up. */
  archives: RootArchive[];
  driver: RootDriverChoice;
}

/** A directory of the initrd, in RAM already. */
export interface InitrdRoot {
  /** Absolute path in the initrd. */
  directory: string;
}

export interface JobLimits {
  /** For the whole job, from the start of the agent. */
  timeoutMs?: number;
  phasesMs?: Readonly<Partial<Record<PhaseName, number>>>;
  /** Between two uploads of changed results while the test runs; 0 for never, absent for the default. */
  syncMs?: number;
}

export interface Job {
  dialect: Dialect;
  /** Undefined if every step has an image. */
  root: Root | undefined;
  artifacts: Artifact[];
  /** In the order in which they start within their kind. */
  steps: Step[];
  /** Whether the job stops after the first main step that fails. */
  stopsAtFailure?: boolean;
  volumes?: Volume[];
  fileSystems?: FileSystem[];
  s3Aliases?: S3Alias[];
  cache: { choice: CacheChoice; mayFormat: boolean; quota: CacheQuota };
  /** Name of the file system with the store, instead of a device. */
  cacheFileSystem?: string;
  results?: { to: ResultsDestination };
  s3?: S3Endpoint;
  /** Tried in this order, then the registry itself. */
  mirrors?: RegistryMirror[];
  /** `host` or `host:port` that may be reached over plain HTTP or with an unknown certificate. */
  insecureHosts: string[];
  limits: JobLimits;
  onExit: OnExit;
  /** The value of the kernel's `ip=`; absent for DHCP on every wired interface. */
  ip?: string;
  /** Hardware address of the interface that the machine booted from (BOOTIF of pxelinux and iPXE): `aa:bb:cc:dd:ee:ff`. */
  bootInterface?: string;
  /** The main step is an interactive shell on the console. */
  shell?: boolean;
  /** Also gets the console's output while the job runs. */
  logTo?: LogDestination;
  /** Consoles in addition to the kernel's. */
  consolePorts?: SerialPortSettings[];
  /** Whether consoles show the test's colors; auto by default. */
  color?: "auto" | "yes" | "no";
  machine?: MachineSettings;
}

export function needsNetwork(job: Job): boolean {
  const { root, steps, artifacts, volumes = [], fileSystems = [], machine = {} } = job;
  const { networkBlockDevices = [], extraArgumentsUrl, jobFileUrl, interfaces = [] } = machine;
  const isRemote = ({ url }: { url: string }) => !url.startsWith("file:");
  const hasRemoteRoot =
    root !== undefined &&
    ("image" in root || "nfs" in root || ("archives" in root && root.archives.some(isRemote)));
  return (
    hasRemoteRoot ||
    artifacts.some(isRemote) ||
    steps.some(({ image }) => image !== undefined) ||
    volumes.some(({ pull, push }) => pull !== undefined || push !== undefined) ||
    [fileSystems, networkBlockDevices, interfaces].some(({ length }) => length > 0) ||
    (jobFileUrl !== undefined && isRemote(jobFileUrl)) ||
    (extraArgumentsUrl ?? job.results ?? job.logTo ?? machine.netconsole ?? job.ip) !== undefined
  );
}

/**
 * The phases of a boot by name, in their fixed order: the unit of timing, limits and errors.
 */
export const PHASE_NAMES = ["machine", "fetch", "assemble", "artifact", "run", "upload", "end"] as const;
export type PhaseName = (typeof PHASE_NAMES)[number];
