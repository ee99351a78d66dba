/**
 * HTTP as this machine and this job have it: the farm's own authority, the job's proxies and its insecure hosts.
 */
import type { Job } from "../job/job.ts";
import { createHttpClient } from "../net/http/http-client.ts";
import type { HttpClient } from "../net/http/http-message.ts";
import type { RetryLimits } from "../net/limits.ts";
import type { Credentials } from "../sys/machine/credentials.ts";

export interface HttpConnectOptions {
  credentials: Credentials;
  warn: (message: string) => void;
  retry?: Partial<RetryLimits>;
}

export async function connectHttp(
  job: Job,
  { credentials, warn, retry }: HttpConnectOptions,
): Promise<HttpClient> {
  const ca = await credentials.read("ca.pem");
  return createHttpClient({
    insecureHosts: [...job.insecureHosts, ...listPlainHosts(job)],
    log: { warn },
    ...(ca && { extraCa: ca.toString() }),
    ...(job.machine?.proxies && { proxies: job.machine.proxies }),
    retry,
  });
}

/** boot2container fetches by plain HTTP what its options say by plain HTTP; there is no other word that allows it. */
function listPlainHosts({ dialect, machine, s3Aliases = [] }: Job): string[] {
  if (dialect !== "b2c") return [];
  const urls = [machine?.extraArgumentsUrl, ...s3Aliases.map(({ url }) => url)];
  return urls.flatMap((text) => {
    const url = text === undefined ? undefined : URL.parse(text);
    return url?.protocol === "http:" ? `${url.hostname}:${url.port || 80}` : [];
  });
}
