/**
 * Buckets for volumes: the S3 services that a job names, each opened once, with a key of the job's where the service encrypts.
 * Amazon S3 user guide, "Using server-side encryption with customer-provided keys (SSE-C)".
 */
import { createHash } from "node:crypto";
import { AgentError } from "../../errors.ts";
import type { S3Alias } from "../../job/volume.ts";
import type { Headers, HttpClient } from "../http/http-message.ts";
import { createS3Client, type S3Body, type S3Client } from "./client.ts";

/** What MinIO and Swift call theirs; Amazon's regions are no business of an alias. */
const DEFAULT_REGION = "us-east-1";
const METADATA_PREFIX = "x-amz-meta-";

interface BucketPlace {
  alias: string;
  bucket: string;
  /** 32 bytes. */
  encryptionKey?: Buffer;
}

/** Opens buckets by the names that the job gives its services; `more` are services under names of their own. Throws VOLUME_NO_ALIAS. */
export function createBucketOpener(
  http: HttpClient,
  aliases: readonly S3Alias[],
  more: Readonly<Record<string, S3Client>> = {},
) {
  const clients = new Map(Object.entries(more));
  const open = (name: string): S3Client => {
    const known = clients.get(name);
    if (known) return known;
    // A later one of the same name wins, as it does for the MinIO client.
    const alias = aliases.findLast((each) => each.name === name);
    if (!alias)
      throw new AgentError("VOLUME_NO_ALIAS", `Cannot mirror with "${name}": no S3 service has this name`);
    const { url, accessKey, secretKey } = alias;
    const endpoint = { url, region: DEFAULT_REGION };
    const client = createS3Client(http, { endpoint, credentials: { accessKey, secretKey } });
    clients.set(name, client);
    return client;
  };
  return ({ alias, bucket, encryptionKey }: BucketPlace) =>
    createS3Bucket(open(alias), bucket, encryptionKey);
}

function createS3Bucket(client: S3Client, bucket: string, encryptionKey: Buffer | undefined) {
  const contentHeaders = encryptionKey ? formatKeyHeaders(encryptionKey) : {};
  return {
    list: (prefix: string, { signal }: { signal: AbortSignal }) =>
      client.listObjects({ bucket, prefix }, { signal }),

    async get(key: string, { signal }: { signal: AbortSignal }) {
      const options = { headers: contentHeaders, signal };
      const { headers, body } = await client.getObject({ bucket, key }, options);
      return { body, metadata: readMetadata(headers) };
    },

    async put(key: string, file: S3Body, { metadata, signal }: { metadata: Headers; signal: AbortSignal }) {
      const options = { metadata, contentHeaders, signal };
      const { etag, contentEtag } = await client.putObject({ bucket, key }, file, options);
      // Of parts an ETag says nothing that another upload of the same would say again.
      return etag !== undefined && !contentEtag.includes("-") ? { etag } : {};
    },

    delete: (key: string, { signal }: { signal: AbortSignal }) =>
      client.deleteObject({ bucket, key }, { signal }),
  };
}

function formatKeyHeaders(key: Buffer): Headers {
  const prefix = "x-amz-server-side-encryption-customer";
  return {
    [`${prefix}-algorithm`]: "AES256",
    [`${prefix}-key`]: key.toString("base64"),
    [`${prefix}-key-md5`]: createHash("md5").update(key).digest("base64"),
  };
}

function readMetadata(headers: Headers): Record<string, string> {
  const own = Object.entries(headers).filter(([name]) => name.startsWith(METADATA_PREFIX));
  return Object.fromEntries(own.map(([name, value]) => [name.slice(METADATA_PREFIX.length), value]));
}
