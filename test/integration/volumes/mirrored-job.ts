import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import {
  CreateBucketCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
} from "@aws-sdk/client-s3";
import { afterAll, afterEach, beforeAll } from "vitest";
import type { Mount } from "../../../agent/job/step.ts";
import type { Volume } from "../../../agent/job/volume.ts";
import { createHttpClient, type HttpClient } from "../../../agent/net/http/http-client.ts";
import { createBucketOpener } from "../../../agent/net/s3/bucket.ts";
import { createVolumeManager, type VolumeManager } from "../../../agent/volumes/volume-manager.ts";
import { type Farm, startFarm } from "../../../qemu/farm/farm.ts";
import { type FailingProxy, startFailingProxy } from "../../servers/failing-proxy.ts";
export const signal = new AbortController().signal;
export const BUCKET = "volumes";
const LIVE = {
  settleMs: 50,
  busyFileMs: 1_000,
  rescanMs: 60_000,
  pollMs: 200,
  retryFirstMs: 50,
  retryMostMs: 100,
};

export let folder: string;
let farm: Farm;
let http: HttpClient;
export let sdk: S3Client;
let openBucket: ReturnType<typeof createBucketOpener>;
let failingProxy: FailingProxy;
/** In front of the S3 service, for the alias "proxied". */
export const proxy = (): FailingProxy => failingProxy;
let jobs = 0;
export const managers: VolumeManager[] = [];

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "dutboot-volumes-test-"));
  farm = await startFarm({ runDir: folder, log: () => {} });
  const { hostUrl: url, region, accessKey, secretKey } = farm.s3;
  http = createHttpClient({
    insecureHosts: [new URL(url).host, "127.0.0.1"],
    log: { warn: () => {} },
    retry: { budgetMs: 500, firstContactBudgetMs: 300, firstDelayMs: 20 },
  });
  failingProxy = await startFailingProxy(url);
  openBucket = createBucketOpener(http, [
    { name: "proxied", url: failingProxy.url, accessKey, secretKey },
    { name: "farm", url, accessKey, secretKey },
    { name: "wrong", url, accessKey, secretKey: "no" },
    { name: "away", url: "http://127.0.0.1:9", accessKey, secretKey },
  ]);
  sdk = new S3Client({
    endpoint: url,
    region,
    forcePathStyle: true,
    credentials: { accessKeyId: accessKey, secretAccessKey: secretKey },
    requestChecksumCalculation: "WHEN_REQUIRED",
    responseChecksumValidation: "WHEN_REQUIRED",
  });
  await sdk.send(new CreateBucketCommand({ Bucket: BUCKET }));
}, 600_000);

afterEach(async () => {
  for (const manager of managers.splice(0)) await manager.finish({ signal }).catch(() => {});
});

afterAll(async () => {
  sdk?.destroy();
  await http?.close();
  await failingProxy?.close();
  await farm?.stop();
  rmSync(folder, { recursive: true, force: true });
}, 60_000);

interface TestJob {
  prefix: string;
  /** The volume's directory. */
  data: string;
  volumesDir: string;
  lines: string[];
  manager: VolumeManager;
  /** A container gets the volume, and runs unless it cannot start. */
  use(options?: { runs?: boolean }): void;
  run(hook: "pipeline_start" | "container_start" | "container_end" | "pipeline_end"): Promise<void>;
  write(key: string, content: string | Buffer): string;
  read(key: string): string;
  put(key: string, content: string | Buffer, metadata?: Record<string, string>): Promise<void>;
  get(key: string): Promise<string>;
  list(): Promise<string[]>;
}

type MirrorOptions = Partial<Volume["mirrorOptions"]>;

/** A job with one volume "v", mirrored with a prefix of its own. */
export async function startJob({
  pull = [],
  push = [],
  options = {},
  fields = {},
  alias = "farm",
  isUsed = true,
  from,
}: {
  pull?: NonNullable<Volume["pull"]>["on"];
  push?: NonNullable<Volume["push"]>["on"];
  options?: MirrorOptions;
  fields?: Partial<Volume>;
  alias?: string;
  /** A container has the volume from the start; else after `use`. */
  isUsed?: boolean;
  /** The job before this one on the same DUT. */
  from?: TestJob;
}): Promise<TestJob> {
  const prefix = from?.prefix ?? `job-${++jobs}`;
  const volumesDir = from?.volumesDir ?? join(folder, "volumes", prefix);
  const lines: string[] = [];
  const volume: Volume = {
    name: "v",
    pull: { alias, bucket: BUCKET, prefix, on: pull },
    push: { alias, bucket: BUCKET, prefix, on: push },
    expiration: "never",
    mirrorOptions: { overwrite: false, remove: false, preserve: false, exclude: [], ...options },
    resetsFscryptKey: false,
    ...fields,
  };
  const manager = createVolumeManager({
    volumesDir,
    volumes: [volume],
    fileSystems: [],
    openBucket,
    mountFileSystem: () => {},
    liveLimits: LIVE,
    log: { info: (line) => lines.push(line), warn: (line) => lines.push(`! ${line}`) },
  });
  managers.push(manager);
  await manager.prepare({ signal });
  const data = join(volumesDir, "v/data");
  const mounts: Mount[] = [{ kind: "volume", source: "v", target: "/v", options: [] }];
  const use = ({ runs = true } = {}) => {
    manager.resolveMounts(mounts);
    if (runs) manager.noteRun(mounts);
  };
  if (isUsed) use();
  const object = (key: string) => ({ Bucket: BUCKET, Key: `${prefix}/${key}` });
  return {
    prefix,
    data,
    volumesDir,
    lines,
    manager,
    use,
    run: (hook) => manager.runHooks(hook, { signal }),
    write(key, content) {
      const path = join(data, key);
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, content);
      return path;
    },
    read: (key) => readFileSync(join(data, key), "utf8"),
    async put(key, content, metadata = {}) {
      await sdk.send(new PutObjectCommand({ ...object(key), Body: content, Metadata: metadata }));
    },
    async get(key) {
      const { Body } = await sdk.send(new GetObjectCommand(object(key)));
      return Body!.transformToString();
    },
    async list() {
      const found = await sdk.send(new ListObjectsV2Command({ Bucket: BUCKET, Prefix: `${prefix}/` }));
      return (found.Contents ?? []).map(({ Key }) => Key!.slice(prefix.length + 1)).sort();
    },
  };
}

export const tree = (path: string) =>
  (readdirSync(path, { recursive: true }) as string[])
    .filter((name) => statSync(join(path, name)).isFile())
    .sort();
