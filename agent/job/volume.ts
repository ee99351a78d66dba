/**
 * Volumes: data that outlives a container, kept in the store of the DUT and optionally mirrored with S3.
 * The terms are boot2container's.
 */

/** When a mirror runs; `changes` means continuously, with a complete run at the end. */
export const MIRROR_CONDITIONS = [
  "pipeline_start",
  "container_start",
  "container_end",
  "pipeline_end",
  "changes",
] as const;
export type MirrorCondition = (typeof MIRROR_CONDITIONS)[number];

export interface Volume {
  name: string;
  /** The file system that is mounted as the volume. */
  fileSystem?: string;
  pull?: Mirror;
  push?: Mirror;
  /** `pipeline_end`: deleted at the end, or at the next start if the end was not reached. */
  expiration: "never" | "pipeline_end";
  mirrorOptions: {
    /** Overwrite objects that differ. */
    overwrite: boolean;
    /** Delete what the source does not have. */
    remove: boolean;
    /** Keep mode, owner and times. */
    preserve: boolean;
    /** Glob patterns. */
    exclude: string[];
    /** For encryption by the server; secret. */
    encryptKey?: string;
  };
  /** Of ext4's fscrypt, in base64; secret. */
  fscryptKey?: string;
  /** A different key than the volume's own deletes the volume's data and becomes its key. */
  resetsFscryptKey: boolean;
}

export interface Mirror {
  /** Name of an S3Alias. */
  alias: string;
  bucket: string;
  /** Key prefix; may be empty. */
  prefix: string;
  on: MirrorCondition[];
}

/** An S3 service for volumes. */
export interface S3Alias {
  name: string;
  url: string;
  /** Both keys are secret and never printed. */
  accessKey: string;
  secretKey: string;
}

export interface FileSystem {
  name: string;
  source: string;
  type?: string;
  options: string[];
}
