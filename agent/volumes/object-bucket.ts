/**
 * What volumes need from an S3 service. The client is in agent/net, which this room may not import.
 */

export interface BucketObject {
  key: string;
  sizeBytes: number;
  /** Without quotes; the MD5 of the content where it is 32 hex digits and nothing is encrypted. */
  etag?: string;
  /** Time of the upload by the service's clock. */
  modifiedMs?: number;
}

/** Every call throws S3_* and HTTP errors. */
export interface ObjectBucket {
  /** All objects whose key starts with the prefix. */
  list(prefix: string, options: { signal: AbortSignal }): AsyncIterable<BucketObject>;
  /** `metadata`: the object's own (x-amz-meta-…), by names in lower case without that prefix. */
  get(
    key: string,
    options: { signal: AbortSignal },
  ): Promise<{ body: AsyncIterable<Buffer>; metadata: Readonly<Record<string, string>> }>;
  put(
    key: string,
    file: { path: string; sizeBytes: number },
    options: { metadata: Readonly<Record<string, string>>; signal: AbortSignal },
  ): Promise<{ etag?: string }>;
  /** A missing object is not an error. */
  delete(key: string, options: { signal: AbortSignal }): Promise<void>;
}

export interface BucketLocation {
  /** Name of an S3 service that the job gives. */
  alias: string;
  bucket: string;
  /** 32 bytes for encryption by the service (SSE-C). */
  encryptionKey?: Buffer;
}

/** Throws VOLUME_NO_ALIAS. */
export type OpenBucket = (location: BucketLocation) => ObjectBucket;
