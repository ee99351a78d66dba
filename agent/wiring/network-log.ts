/** Starts the network log where the job's `dut.log` names a destination. */
import type { Job, LogDestination } from "../job/job.ts";
import { formatPublicUrl } from "../net/http/url-policy.ts";
import { createLogUpload } from "../net/uploads/log-upload.ts";
import { createBatchedLog } from "../report/network-log/batched-log.ts";
import type { LogLine } from "../report/network-log/line-queue.ts";
import type { LogTransport } from "../report/network-log/network-log.ts";
import { createSyslogUdp } from "../report/network-log/syslog-udp.ts";
import { createRawLog, createSyslogTcp } from "../report/network-log/tcp-log.ts";
import { readUptimeMs } from "../sys/machine/uptime.ts";
import { createSyslogFormat } from "../wire/syslog.ts";
import type { BootContext } from "./boot-context.ts";
import { connectHttp, connectS3 } from "./connection.ts";

export interface Sender {
  /** How the network knows this machine. */
  hostname: string | undefined;
  /** Whether the clock was set: syslog messages have a time only then. */
  isClockRight: boolean;
}

/** A log that cannot be sent is reported, and the job goes on without it. */
export async function startNetworkLog(job: Job, sender: Sender, context: BootContext): Promise<void> {
  const { networkLog, warn } = context;
  if (!job.logTo) return networkLog.discard();
  try {
    networkLog.start(await createTransport(job, job.logTo, sender, context));
  } catch (error) {
    warn(`log: cannot send it: ${(error as Error).message}`);
    networkLog.discard();
  }
}

/** The sender of the lines retries, and reports an outage once. */
const NO_RETRIES = { budgetMs: 0, firstContactBudgetMs: 0 };

async function createTransport(
  job: Job,
  destination: LogDestination,
  { hostname, isClockRight }: Sender,
  { credentials, redaction }: BootContext,
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
  const http = await connectHttp(job, { credentials, warn: () => {} }, NO_RETRIES);
  if ("http" in destination) {
    const token = (await credentials.read("log-token"))?.toString().trim();
    const putPart = createLogUpload(http, { url: destination.http, token });
    return createBatchedLog({ location: formatPublicUrl(destination.http), putPart });
  }
  const { bucket, prefix } = destination.s3;
  const s3 = await connectS3(job, http, { credentials, redaction });
  if (!s3) throw new Error("the job names no S3 service");
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
