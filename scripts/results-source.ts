/**
 * The sources of `dutboot results`: a folder, or a prefix in a bucket of any S3 service, with the credentials of AWS's tools.
 */
import { createReadStream, readFileSync, statSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { homedir } from "node:os";
import { join, relative, resolve } from "node:path";
import { createHttpClient } from "../agent/net/http/http-client.ts";
import { S3Client } from "../agent/net/s3/client.ts";
import { parseAwsCredentials } from "../agent/net/s3/request.ts";
import { UsageError } from "./command.ts";

export interface ResultsSource {
  /** For messages. */
  name: string;
  /** The URL of one file. */
  locate(file: string): string;
  /** Names of files, with `/` between their components. */
  list(): Promise<Set<string>>;
  read(file: string): Promise<AsyncIterable<Buffer>>;
  close(): Promise<void>;
}

export interface S3Options {
  endpoint: string | undefined;
  region: string | undefined;
  /** For AWS's own variables. */
  env: NodeJS.ProcessEnv;
}

export function openSource(text: string, options: S3Options): ResultsSource {
  const found = /^s3:\/\/([^/]+)\/?(.*?)\/*$/s.exec(text);
  return found ? openBucket(found[1]!, found[2]!, options) : openFolder(resolve(text));
}

function openFolder(folder: string): ResultsSource {
  if (!statSync(folder, { throwIfNoEntry: false })?.isDirectory())
    throw new UsageError(`Cannot read results from "${folder}": no such folder`);
  return {
    name: folder,
    locate: (file) => `file://${join(folder, file)}`,
    async list() {
      const entries = await readdir(folder, { recursive: true, withFileTypes: true });
      // Links are ignored: they may lead anywhere, and the agent uploads none.
      const files = entries.filter((entry) => entry.isFile());
      return new Set(files.map((entry) => relative(folder, join(entry.parentPath, entry.name))));
    },
    read: async (file) => createReadStream(join(folder, file)),
    close: async () => {},
  };
}

function openBucket(bucket: string, prefix: string, { endpoint, region, env }: S3Options): ResultsSource {
  const regionName = region ?? env.AWS_REGION ?? env.AWS_DEFAULT_REGION ?? "us-east-1";
  const ofEnv = env.AWS_ENDPOINT_URL_S3 || env.AWS_ENDPOINT_URL;
  const url = endpoint ?? (ofEnv || `https://s3.${regionName}.amazonaws.com`);
  const credentials = readCredentials(env);
  const parsed = URL.parse(url);
  const http = createHttpClient({
    // A user who gives an http:// URL accepts plain HTTP.
    insecureHosts: parsed?.protocol === "http:" ? [parsed.host] : [],
    log: { warn: (message) => console.error(`dutboot: ${message}`) },
    retry: { budgetMs: 30_000, firstContactBudgetMs: 10_000 },
  });
  const s3 = new S3Client(http, {
    endpoint: { url, region: regionName },
    credentials,
  });
  const folder = prefix === "" ? "" : `${prefix}/`;
  return {
    name: `s3://${bucket}/${prefix}`,
    locate: (file) => `s3://${bucket}/${folder}${file}`,
    async list() {
      const names = new Set<string>();
      for await (const { key } of s3.listObjects({ bucket, prefix: folder }))
        names.add(key.slice(folder.length));
      return names;
    },
    async read(file) {
      const { body } = await s3.getObject({ bucket, key: `${folder}${file}` });
      return body;
    },
    close: () => http.close(),
  };
}

/** From the environment, else from the default profile of the shared file; without any, requests are not signed. */
function readCredentials(env: NodeJS.ProcessEnv) {
  const {
    AWS_ACCESS_KEY_ID: accessKey,
    AWS_SECRET_ACCESS_KEY: secretKey,
    AWS_SESSION_TOKEN: sessionToken,
  } = env;
  if (accessKey && secretKey) return { accessKey, secretKey, sessionToken: sessionToken || undefined };
  const path = env.AWS_SHARED_CREDENTIALS_FILE || join(homedir(), ".aws/credentials");
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
  return parseAwsCredentials(text);
}
