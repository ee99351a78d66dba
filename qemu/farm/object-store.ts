/**
 * The farm's S3 service: OpenStack Swift with its s3api, in a separate process (swift-servers.py), and the host's
 * client for it: creates buckets before a run and downloads results after it.
 */
import { randomBytes } from "node:crypto";
import { createWriteStream } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join, resolve, sep } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { AwsClient } from "aws4fetch";
import { XMLParser } from "fast-xml-parser";
import type { ToolsRoot } from "../tools-root.ts";
import { type ServerProcess, startServer } from "./server-process.ts";

const S3_REGION = "us-east-1";

export interface ObjectStore {
  /** Path-style, without a trailing slash: `${hostUrl}/BUCKET/KEY`. */
  hostUrl: string;
  region: string;
  accessKey: string;
  secretKey: string;
  createBucket(name: string): Promise<void>;
  putObject(bucket: string, key: string, content: Uint8Array): Promise<void>;
  /** Lists the keys below the prefix. */
  listObjects(bucket: string, prefix: string): Promise<string[]>;
  /** Downloads all objects below the prefix into the folder and returns their relative paths. */
  downloadObjects(bucket: string, prefix: string, folder: string): Promise<string[]>;
}

export interface ObjectStoreStart {
  tools: ToolsRoot;
  /** Needs a file system with user xattrs, in which Swift keeps metadata. */
  folder: string;
  onDeath: (message: string) => void;
  signal?: AbortSignal;
}

export async function startObjectStore({
  tools,
  folder,
  onDeath,
  signal,
}: ObjectStoreStart): Promise<ServerProcess & ObjectStore & { port: number }> {
  const accessKey = "dutboot:farm";
  const secretKey = randomBytes(18).toString("base64url");
  const etc = join(folder, "etc");
  await mkdir(etc, { recursive: true });
  await writeFile(join(etc, "keys"), `${accessKey}\n${secretKey}\n`, { mode: 0o600 });
  const script = join(import.meta.dirname, "swift-servers.py");
  const server = await startServer({
    name: "swift",
    words: tools.commandWords("python3", ["-B", script, folder], { bind: { "/etc/swift": etc } }),
    logPath: join(folder, "swift.log"),
    readyPattern: /^\{"port": (\d+)\}$/,
    onDeath,
    signal,
  });
  return { ...server, ...createObjectStoreClient(`http://127.0.0.1:${server.port}`, accessKey, secretKey) };
}

/** A client for any S3 service with path-style addresses. */
function createObjectStoreClient(hostUrl: string, accessKey: string, secretKey: string): ObjectStore {
  const client = new AwsClient({
    accessKeyId: accessKey,
    secretAccessKey: secretKey,
    region: S3_REGION,
    service: "s3",
    // No retries: the service is on loopback.
    retries: 0,
  });
  const request = async (method: string, path: string, body?: Uint8Array<ArrayBuffer>) => {
    const response = await client.fetch(`${hostUrl}/${path}`, { method, body });
    if (response.ok) return response;
    throw new Error(
      `Cannot ${method} "${path}" in the object store: ${response.status} ${(await response.text()).slice(0, 500)}`,
    );
  };
  const listObjects: ObjectStore["listObjects"] = async (bucket, prefix) => {
    const keys: string[] = [];
    for (let marker = ""; ; ) {
      const query = new URLSearchParams({ prefix, marker, "encoding-type": "url" });
      const page = await (await request("GET", `${bucket}?${query}`)).text();
      const found = parseKeys(page);
      keys.push(...found);
      const last = found.at(-1);
      if (!page.includes("<IsTruncated>true<") || last === undefined) return keys;
      marker = last;
    }
  };
  return {
    hostUrl,
    region: S3_REGION,
    accessKey,
    secretKey,
    listObjects,
    createBucket: async (name) => {
      await request("PUT", name);
    },
    putObject: async (bucket, key, content) => {
      await request("PUT", formatPath(bucket, key), new Uint8Array(content));
    },
    downloadObjects: async (bucket, prefix, folder) => {
      const keys = await listObjects(bucket, prefix);
      const paths: string[] = [];
      for (const key of keys) {
        const path = key.slice(prefix.length).replace(/^\/+/, "");
        const target = resolve(folder, path);
        // Keys come from the DUT: skip those that lead out of the folder, and those of empty folders.
        if (path === "" || path.endsWith("/") || !target.startsWith(resolve(folder) + sep)) continue;
        await mkdir(dirname(target), { recursive: true });
        const { body } = await request("GET", formatPath(bucket, key));
        await pipeline(body ? Readable.fromWeb(body) : Readable.from([]), createWriteStream(target));
        paths.push(path);
      }
      return paths;
    },
  };
}

const formatPath = (bucket: string, key: string) =>
  `${bucket}/${key.split("/").map(encodeURIComponent).join("/")}`;

const xml = new XMLParser({ parseTagValue: false, isArray: (name) => name === "Contents" });

function parseKeys(page: string): string[] {
  const contents: { Key: string }[] = xml.parse(page).ListBucketResult?.Contents ?? [];
  return contents.map(({ Key }) => decodeURIComponent(Key.replaceAll("+", " ")));
}
