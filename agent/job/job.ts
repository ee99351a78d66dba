/**
 * The Job: everything one boot is asked to do, whatever dialect asked for it.
 * Dialects produce it, the plan and the phases read it; nothing here touches the machine.
 */

/** An OCI image reference, normalised: `host[:port]/name`, then a tag, a digest, or both. */
export interface ImageReference {
  /** `host` or `host:port`. */
  registry: string;
  /** The repository's path without the registry. */
  repository: string;
  tag?: string;
  /** `sha256:<64 hex>`; when present it decides and the tag is only a comment. */
  digest?: string;
}

/** An archive that is unpacked into the root before the test. */
export interface Artifact {
  url: string;
  /** Absolute path in the root that the archive's members are placed under. */
  to: string;
  /** Lower-case hex of the archive's bytes as served. */
  sha256?: string;
}

/** One command run in the root. */
export interface Step {
  kind: "main";
  /** Words for execve; absent where the image's entrypoint and command decide. */
  argv?: string[];
  /** `NAME=VALUE`, in the order given; a later one wins. */
  env: string[];
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

/** Where the store lies: in RAM, on the device labelled for us, or on one that the job names. */
export type CacheChoice =
  | "none"
  | "auto"
  | "reset"
  | { label: string }
  | { uuid: string }
  | { device: string };

export type OnExit = "poweroff" | "reboot" | "halt";

export interface Job {
  dialect: "dut";
  root: { image: ImageReference };
  artifacts: Artifact[];
  steps: Step[];
  results?: { s3: S3Location };
  s3?: S3Endpoint;
  /** `host` or `host:port` that may be reached over plain HTTP or with an unknown certificate. */
  insecureHosts: string[];
  limits: { timeoutMs?: number };
  onExit: OnExit;
  /** The kernel's own `ip=` value, untouched; absent means DHCP on every wired interface. */
  ip?: string;
}
