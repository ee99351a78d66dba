/**
 * Buckets for volumes: opens each S3 service that a job names once, with the encryption key of the job where it gives one.
 * Amazon S3 user guide, "Using server-side encryption with customer-provided keys (SSE-C)".
 */
import { createHash } from "node:crypto";
import { AgentError } from "../../errors.ts";
import type { S3Alias } from "../../job/volume.ts";
import type { Headers, HttpClient } from "../http/http-message.ts";
import type { UploadedFile } from "../http/uploaded-file.ts";
import { S3Client } from "./client.ts";

/** The default region of MinIO and Swift; an alias cannot name one. */
const DEFAULT_REGION = "us-east-1";
const METADATA_PREFIX = "x-amz-meta-";

/**
 * Opens buckets by the names that the job gives its services; `more` are services under names of their own.
 * `encryptionKey` has 32 bytes. Throws VOLUME_NO_ALIAS.
 */
export function createBucketOpener(
  http: HttpClient,
  aliases: readonly S3Alias[],
  more: Readonly<Record<string, S3Client>> = {},
) {
  const clients = new Map(Object.entries(more));
  const connect = (name: string): S3Client => {
    const known = clients.get(name);
    if (known) return known;
    // The last one of a name wins, as it does for the MinIO client.
    const alias = aliases.findLast((each) => each.name === name);
    if (!alias)
      throw new AgentError("VOLUME_NO_ALIAS", `Cannot mirror with "${name}": no S3 service has this name`);
    const { url, accessKey, secretKey } = alias;
    const endpoint = { url, region: DEFAULT_REGION };
    const client = new S3Client(http, { endpoint, credentials: { accessKey, secretKey } });
    clients.set(name, client);
    return client;
  };
  return (location: { alias: string; bucket: string; encryptionKey?: Buffer }) =>
    createS3Bucket(connect(location.alias), location.bucket, location.encryptionKey);
}

function createS3Bucket(client: S3Client, bucket: string, encryptionKey: Buffer | undefined) {
  const contentHeaders = encryptionKey ? formatKeyHeaders(encryptionKey) : {};
  return {
    list: (prefix: string, { signal }: { signal: AbortSignal }) =>
      client.listObjects({ bucket, prefix }, { signal }),

    async get(key: string, { signal }: { signal: AbortSignal }) {
      const options = { headers: contentHeaders, signal };
      const { headers, body } = await client.getObject({ bucket, key }, options);
      return { body, metadata: parseMetadata(headers) };
    },

    async put(
      key: string,
      file: Buffer | UploadedFile,
      { metadata, signal }: { metadata: Headers; signal: AbortSignal },
    ) {
      const options = { metadata, contentHeaders, signal };
      const { etag, contentEtag } = await client.putObject({ bucket, key }, file, options);
      // The ETag of a multipart upload depends on its parts: another upload of the same content may have another one.
      return contentEtag.includes("-") ? {} : { etag };
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

function parseMetadata(headers: Headers): Record<string, string> {
  const own = Object.entries(headers).filter(([name]) => name.startsWith(METADATA_PREFIX));
  return Object.fromEntries(own.map(([name, value]) => [name.slice(METADATA_PREFIX.length), value]));
}
