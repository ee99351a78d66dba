/**
 * Makes the transport for `dut.log` from the job, the credentials, the hostname and the clock.
 */
import type { Job, LogDestination } from "../job/job.ts";
import { formatPublicUrl } from "../net/http/public-url.ts";
import { createLogUpload } from "../net/uploads/log-upload.ts";
import type { Redaction } from "../redaction/redaction.ts";
import { createBatchedLog } from "../report/network-log/batched-log.ts";
import type { LogLine } from "../report/network-log/line-queue.ts";
import type { LogTransport, NetworkLog } from "../report/network-log/network-log.ts";
import { createSyslogUdp } from "../report/network-log/syslog-udp.ts";
import { createRawLog, createSyslogTcp } from "../report/network-log/tcp-log.ts";
import type { Credentials } from "../sys/machine/credentials.ts";
import { readUptimeMs } from "../sys/machine/uptime.ts";
import { createSyslogFormat } from "../wire/syslog.ts";
import { connectHttp } from "./connect-http.ts";
import { connectS3 } from "./connect-s3.ts";

export interface LogReaderTools {
  networkLog: NetworkLog;
  log: { warn(message: string): void };
  credentials: Credentials;
  redaction: Redaction;
  /** The machine's name in the network. */
  hostname: string | undefined;
  /** Whether the clock is set. */
  isClockRight: boolean;
}

/** Never fails the job: a log that cannot be sent is a warning. */
export async function startNetworkLog(job: Job, tools: LogReaderTools): Promise<void> {
  const { networkLog, log } = tools;
  if (!job.logTo) return networkLog.discard();
  try {
    networkLog.start(await createTransport(job, job.logTo, tools));
  } catch (error) {
    log.warn(`log: cannot send it: ${(error as Error).message}`);
    networkLog.discard();
  }
}

/** The network log retries by itself, and logs an outage once. */
const NO_RETRIES = { budgetMs: 0, firstContactBudgetMs: 0 };

async function createTransport(
  job: Job,
  destination: LogDestination,
  { credentials, redaction, hostname, isClockRight }: LogReaderTools,
): Promise<LogTransport> {
  if ("tcp" in destination) return createRawLog(destination.tcp);
  if ("syslog" in destination) {
    const { host, port, protocol } = destination.syslog;
    const formatMessage = createSyslogFormat({ hostname });
    const format = (line: LogLine) => {
      const timeMs = isClockRight ? Date.now() - readUptimeMs() + line.uptimeMs : undefined;
      return formatMessage(line, { origin: line.origin, timeMs });
    };
    return (protocol === "udp" ? createSyslogUdp : createSyslogTcp)({ host, port, format });
  }
  const http = await connectHttp(job, { credentials, warn: () => {}, retry: NO_RETRIES });
  if ("http" in destination) {
    const token = (await credentials.read("log-token"))?.toString().trim();
    const putPart = createLogUpload(http, { url: destination.http, token });
    return createBatchedLog({ location: formatPublicUrl(destination.http), putPart });
  }
  const { bucket, prefix } = destination.s3;
  if (!job.s3) throw new Error("the job names no S3 service");
  const s3 = await connectS3(job.s3, { http, credentials, redaction });
  return createBatchedLog({
    location: `s3://${bucket}/${prefix}`,
    async putPart({ name, body }, { signal }) {
      const chunks: Buffer[] = [];
      for await (const chunk of body) chunks.push(chunk);
      const key = prefix ? `${prefix}/${name}` : name;
      await s3.putObject({ bucket, key }, Buffer.concat(chunks), { contentType: "text/plain", signal });
    },
  });
}
