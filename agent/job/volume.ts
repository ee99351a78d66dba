/**
 * Volumes: data that outlives a container, kept in the store of this DUT and, where asked, mirrored with S3.
 * The words are boot2container's, whose volumes these are.
 */

/** When a mirror runs; `changes` is all the time, with one complete run at the end. */
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
  /** Name of the file system that is mounted as the volume. */
  fileSystem?: string;
  pull?: Mirror;
  push?: Mirror;
  /** `pipeline_end`: removed at the end, and at the next start should the end not be reached. */
  expiration: "never" | "pipeline_end";
  mirrorOptions: {
    /** Objects that differ are overwritten. */
    overwrite: boolean;
    /** What the source lacks is deleted. */
    remove: boolean;
    /** Mode, owner and times are kept. */
    preserve: boolean;
    /** Glob patterns of what is left out. */
    exclude: string[];
    /** For encryption by the server; secret. */
    encryptKey?: string;
  };
  /** Of ext4's fscrypt, in base64; secret. */
  fscryptKey?: string;
  /** Another key than the volume's own wipes the volume and becomes its key. */
  resetsFscryptKey: boolean;
}

export interface Mirror {
  /** Name of an S3Alias. */
  alias: string;
  bucket: string;
  /** Key prefix, may be empty. */
  prefix: string;
  on: MirrorCondition[];
}

/** An S3 service under the name that volumes call it. */
export interface S3Alias {
  name: string;
  url: string;
  /** Secret, as the one below: never printed. */
  accessKey: string;
  secretKey: string;
}

/** Something that can be mounted, under a name. */
export interface FileSystem {
  name: string;
  source: string;
  type?: string;
  options: string[];
}
