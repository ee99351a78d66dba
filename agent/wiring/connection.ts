/**
 * A job's connection to the servers it names: HTTP with the farm's authority, the job's proxies and insecure hosts; S3 with this
 * machine's keys; NFS with this machine's address and modules.
 */
import { join } from "node:path";
import type { Job, NfsExport, NfsRoot } from "../job/job.ts";
import { type ArchiveOpener, createArchiveOpener, type OpenNfsFile } from "../net/archives/archive-opener.ts";
import { createHttpClient } from "../net/http/http-client.ts";
import type { HttpClient } from "../net/http/http-message.ts";
import type { RetryLimits } from "../net/limits.ts";
import { S3Client } from "../net/s3/client.ts";
import { parseAwsCredentials } from "../net/s3/request.ts";
import { PATHS } from "../paths.ts";
import { mountExportRoot } from "../root/drivers/existing-tree.ts";
import type { MountedRoot, RootOptions } from "../root/root-driver.ts";
import type { NetworkState } from "../sys/network/network.ts";
import { createNfsFiles } from "../sys/nfs/files.ts";
import { mountNfs } from "../sys/nfs/mount.ts";
import { resolveExport } from "../sys/nfs/options.ts";
import type { BootContext } from "./boot-context.ts";

export interface Connection {
  http: HttpClient;
  /** Absent where the job names no S3 service. */
  s3: S3Client | undefined;
  nfs: NfsClient;
  openArchive: ArchiveOpener;
}

export interface NfsClient {
  mount(
    location: NfsExport,
    target: string,
    options: { isWritable: boolean; signal?: AbortSignal },
  ): Promise<void>;
  mountRoot(
    nfs: NfsRoot["nfs"],
    rootOptions: RootOptions,
    options: { signal: AbortSignal },
  ): Promise<MountedRoot>;
  openFile: OpenNfsFile;
}

type ConnectContext = Pick<BootContext, "credentials" | "log" | "modules" | "redaction" | "warn">;

/** Throws CREDENTIAL_BAD_FILE. */
export async function connect(
  job: Job,
  network: NetworkState | undefined,
  context: ConnectContext,
): Promise<Connection> {
  const http = await connectHttp(job, context);
  const s3 = await connectS3(job, http, context);
  const nfs = connectNfs(network, context);
  return { http, s3, nfs, openArchive: createArchiveOpener(http, s3, nfs.openFile) };
}

export async function connectHttp(
  job: Job,
  { credentials, warn }: Pick<BootContext, "credentials" | "warn">,
  retry?: Partial<RetryLimits>,
): Promise<HttpClient> {
  const ca = await credentials.read("ca.pem");
  return createHttpClient({
    insecureHosts: [...job.insecureHosts, ...listPlainHosts(job)],
    log: { warn },
    extraCa: ca?.toString(),
    proxies: job.machine?.proxies,
    retry,
  });
}

/** boot2container uses plain HTTP where its options name a plain HTTP URL; it has no other way to allow that. */
function listPlainHosts({ dialect, machine, s3Aliases = [] }: Job): string[] {
  if (dialect !== "b2c") return [];
  const urls = [machine?.extraArgumentsUrl, ...s3Aliases.map(({ url }) => url)];
  return urls.flatMap((text) => {
    const url = text === undefined ? undefined : URL.parse(text);
    return url?.protocol === "http:" ? `${url.hostname}:${url.port || 80}` : [];
  });
}

/** Without credentials, requests are not signed. */
export async function connectS3(
  { s3: endpoint }: Pick<Job, "s3">,
  http: HttpClient,
  { credentials, redaction }: Pick<BootContext, "credentials" | "redaction">,
): Promise<S3Client | undefined> {
  if (!endpoint) return undefined;
  const bytes = await credentials.read("s3");
  if (!bytes) return new S3Client(http, { endpoint });
  const keys = parseAwsCredentials(bytes.toString());
  redaction.hide(keys.secretKey);
  redaction.hide(keys.sessionToken ?? "");
  return new S3Client(http, { endpoint, credentials: keys });
}

function connectNfs(
  network: NetworkState | undefined,
  { log, modules }: Pick<BootContext, "log" | "modules">,
): NfsClient {
  const ownAddress = network?.interfaces[0]?.address;
  const mount: NfsClient["mount"] = (location, target, options) =>
    mountNfs(location, target, { log, loadModule: modules.load, ownAddress, ...options });
  const files = createNfsFiles({
    stateDir: join(PATHS.nfs, "files"),
    mount: (location, target, options) => mount(location, target, { ...options, isWritable: false }),
  });
  return {
    mount,
    mountRoot(nfs, rootOptions, { signal }) {
      const { isWritable } = nfs;
      const from = resolveExport(nfs, network ?? { interfaces: [] });
      const mountExport = (target: string) => mount(from, target, { isWritable, signal });
      return mountExportRoot({ isWritable, mountExport }, rootOptions);
    },
    openFile: files.open,
  };
}
