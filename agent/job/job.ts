/**
 * The Job: everything one boot is asked to do, whatever dialect asked for it.
 * Dialects produce it, the plan and the phases read it; nothing here touches the machine.
 */
import type { ImageReference } from "../oci/reference.ts";
import type { MachineSettings } from "./machine-settings.ts";
import type { PhaseName } from "./phase-names.ts";
import type { Step } from "./step.ts";
import type { FileSystem, S3Alias, Volume } from "./volume.ts";

/**
 * Where bytes come from, as a URL: `https://…`, `http://…`, `s3://BUCKET/KEY` of the job's S3 service,
 * `nfs://SERVER/EXPORT/FILE`, or `file:///PATH` of what an initrd archive brought along.
 */
export type Source = string;

/** An archive that is unpacked into the root before the test. */
export interface Artifact {
  url: Source;
  /** Absolute path in the root that the archive's members are placed under. */
  to: string;
  /** Lower-case hex of the archive's bytes as served. */
  sha256?: string;
  /** Lower-case hex, the sha256 of a zstd:chunked archive's table of contents: who has that may be pulled in parts. */
  tableSha256?: string;
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

/** An export of an NFS server, as the mount of it takes it. */
export interface NfsExport {
  server: string;
  /** Absolute. */
  path: string;
  /** As in `vers=`: 3, 4, 4.2. */
  version?: string;
  /** Further mount options, as given. */
  options: string[];
}

/** Where the results go; `put` is a prefix of URLs: each file is PUT at `PREFIX/NAME`. */
export type ResultsDestination = { s3: S3Location } | { put: string } | { nfs: NfsExport };

export interface HostAndPort {
  host: string;
  port: number;
}

/** Who takes the log as it comes: `tcp` the raw bytes, the others numbered lines; `http` is a URL. */
export type LogDestination =
  | { tcp: HostAndPort }
  | { syslog: HostAndPort & { protocol: "udp" | "tcp" } }
  | { http: string }
  | { s3: S3Location };

/** A registry, and the URL that is asked in its place first. */
export interface RegistryMirror {
  /** `host` or `host:port`. */
  registry: string;
  url: string;
}

/** Where the store lies: in RAM, on the device labelled for us, or on one that the job names. */
export type CacheChoice =
  | "none"
  | "auto"
  | "reset"
  | { label: string }
  | { uuid: string }
  | { device: string };

/** How much the store may keep after a job. */
export type CacheQuota = { bytes: number } | { percent: number };

/** `auto` takes composefs where the kernel can, else directories stacked by overlayfs. */
export type RootDriverChoice = "composefs" | "overlay" | "auto";

/** A serial port as a console. */
export interface SerialPortSettings {
  /** Below /dev. */
  device: string;
  baudRate: number;
}

export type OnExit = "poweroff" | "reboot" | "halt";

export type Dialect = "dut" | "b2c" | "nfsroot";

/** The file tree that steps without an image of their own run in. */
export type Root = ImageRoot | NfsRoot | ArchiveRoot | InitrdRoot;

export interface ImageRoot {
  image: ImageReference;
  driver: RootDriverChoice;
  /** Hex; the fs-verity digest that the image's composefs form must have. */
  composefsDigest?: string;
}

/** An export of an NFS server; what is absent, the DHCP answer says. */
export interface NfsRoot {
  nfs: {
    server?: string;
    /** Absolute; `%s` stands for the DUT's address. */
    path?: string;
    /** As in `vers=`: 3, 4, 4.2. */
    version?: string;
    /** Further mount options, as given. */
    options: string[];
    /** Mounted read-write; else read-only under an overlay. */
    isWritable: boolean;
  };
}

/** Archives stacked from the first up, as layers of an image are. */
export interface ArchiveRoot {
  /** At least one. */
  archives: RootArchive[];
  driver: RootDriverChoice;
}

export interface RootArchive {
  url: Source;
  /** Lower-case hex of the archive's bytes as served. */
  sha256?: string;
  /** Lower-case hex, the sha256 of a zstd:chunked archive's table of contents. */
  tableSha256?: string;
}

/** A tree that an initrd archive brought along, in RAM already. */
export interface InitrdRoot {
  /** Absolute path in the initrd. */
  directory: string;
}

export interface JobLimits {
  /** Of the whole job, from the start of the agent. */
  timeoutMs?: number;
  phasesMs?: Readonly<Partial<Record<PhaseName, number>>>;
  /** Between two looks at what the test has changed of its results; 0 for none, absent for the usual time. */
  syncMs?: number;
}

/** Everything one boot is asked to do, whatever dialect it was written in. */
export interface Job {
  dialect: Dialect;
  /** Absent where every step has an image of its own. */
  root: Root | undefined;
  artifacts: Artifact[];
  /** In the order they start within their kind. */
  steps: Step[];
  /** The first main step that fails is the last one. */
  stopsAtFailure?: boolean;
  volumes?: Volume[];
  fileSystems?: FileSystem[];
  s3Aliases?: S3Alias[];
  cache: { choice: CacheChoice; mayFormat: boolean; quota: CacheQuota };
  /** Name of the file system that the store lies on, in place of a device. */
  cacheFileSystem?: string;
  results?: { to: ResultsDestination };
  s3?: S3Endpoint;
  /** Tried in this order; the registry itself is the last resort. */
  mirrors?: RegistryMirror[];
  /** `host` or `host:port` that may be reached over plain HTTP or with an unknown certificate. */
  insecureHosts: string[];
  limits: JobLimits;
  onExit: OnExit;
  /** The kernel's own `ip=` value, untouched; absent means DHCP on every wired interface. */
  ip?: string;
  /** The main step is an interactive shell on the console, for whoever types there. */
  shell?: boolean;
  /** Everything the console shows goes there as well, while the job runs. */
  logTo?: LogDestination;
  /** Consoles beside those that the kernel was given. */
  consolePorts?: SerialPortSettings[];
  /** Whether consoles show the test's colours; absent: auto. */
  color?: "auto" | "yes" | "no";
  machine?: MachineSettings;
}
