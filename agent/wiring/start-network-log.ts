/**
 * Who takes the log that `dut.log` sends: the job's place with what this machine knows of credentials, its name and the time.
 */
import type { Job, LogDestination } from "../job/job.ts";
import { formatPublicUrl } from "../net/http/public-url.ts";
import { createLogUpload } from "../net/uploads/log-upload.ts";
import type { Redaction } from "../redaction/redaction.ts";
import { createBatchedLog } from "../report/network-log/batched-log.ts";
import type { LogLine } from "../report/network-log/line-queue.ts";
import type { LogTransport } from "../report/network-log/line-sender.ts";
import type { NetworkLog } from "../report/network-log/network-log.ts";
import { createSyslogTcp } from "../report/network-log/syslog-tcp.ts";
import { createSyslogUdp } from "../report/network-log/syslog-udp.ts";
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
  /** How the machine is known in the network. */
  hostname: string | undefined;
  /** Whether times of the clock are true. */
  isClockRight: boolean;
}

/** A log that cannot be sent is told; the job goes on without. */
export async function startNetworkLog(job: Job, tools: LogReaderTools): Promise<void> {
  const { networkLog, log } = tools;
  if (!job.logTo) return networkLog.discard();
  try {
    networkLog.start("tcp" in job.logTo ? job.logTo.tcp : await createTransport(job, job.logTo, tools));
  } catch (error) {
    log.warn(`log: it is not sent: ${(error as Error).message}`);
    networkLog.discard();
  }
}

/** Whoever sends the lines tries again by himself, and tells of it once. */
const NO_RETRIES = { budgetMs: 0, firstContactBudgetMs: 0 };

async function createTransport(
  job: Job,
  place: Exclude<LogDestination, { tcp: unknown }>,
  { credentials, redaction, hostname, isClockRight }: LogReaderTools,
): Promise<LogTransport> {
  if ("syslog" in place) {
    const { host, port, protocol } = place.syslog;
    const formatMessage = createSyslogFormat({ hostname });
    const format = (line: LogLine) => {
      const timeMs = isClockRight ? Date.now() - readUptimeMs() + line.uptimeMs : undefined;
      return formatMessage(line, { origin: line.origin, timeMs });
    };
    return (protocol === "udp" ? createSyslogUdp : createSyslogTcp)({ host, port, format });
  }
  const http = await connectHttp(job, { credentials, warn: () => {}, retry: NO_RETRIES });
  if ("http" in place) {
    const token = (await credentials.read("log-token"))?.toString().trim();
    const putPart = createLogUpload(http, { url: place.http, token });
    return createBatchedLog({ place: formatPublicUrl(place.http), putPart });
  }
  const { bucket, prefix } = place.s3;
  if (!job.s3) throw new Error("the job names no S3 service");
  const s3 = await connectS3(job.s3, { http, credentials, redaction });
  return createBatchedLog({
    place: `s3://${bucket}/${prefix}`,
    async putPart({ name, body }, { signal }) {
      const chunks: Buffer[] = [];
      for await (const chunk of body) chunks.push(chunk);
      const key = prefix ? `${prefix}/${name}` : name;
      await s3.putObject({ bucket, key }, Buffer.concat(chunks), { contentType: "text/plain", signal });
    },
  });
}
