/** An HTTP client with short limits, servers that close with the test, and a download with its outcome. */
import { createHash, randomBytes } from "node:crypto";
import { afterEach } from "vitest";
import { AgentError, type ErrorCode } from "../../../agent/errors.ts";
import { createHttpClient, type HttpRequest } from "../../../agent/net/http/http-client.ts";
import type { RetryLimits } from "../../../agent/net/limits.ts";
import { type Behaviour, type MisbehavingServer, startServer } from "../../servers/misbehaving-server.ts";

const QUICK: Partial<RetryLimits> = {
  budgetMs: 1_500,
  firstContactBudgetMs: 400,
  firstDelayMs: 5,
  maxDelayMs: 40,
  maxRetryAfterMs: 300,
  connectTimeoutMs: 1_000,
  silenceMs: 150,
  windowMs: 300,
  minBytesPerWindow: 100_000,
};

export const CONTENT = randomBytes(3_000_000);
export const OTHER = randomBytes(3_000_000);
export const ETAG = '"one"';

const toClose: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const each of toClose.splice(0)) await each.close();
});

export async function serve(
  behaviours: Behaviour | Behaviour[],
  options?: Parameters<typeof startServer>[1],
): Promise<MisbehavingServer> {
  const server = await startServer(behaviours, options);
  toClose.push(server);
  return server;
}

export function createClient({
  insecureHosts = ["127.0.0.1"],
  extraCa,
  retry,
}: {
  insecureHosts?: string[];
  extraCa?: string;
  retry?: Partial<RetryLimits>;
} = {}) {
  const lines: string[] = [];
  const http = createHttpClient({
    insecureHosts,
    log: { warn: (line) => lines.push(line) },
    retry: { ...QUICK, ...retry },
    extraCa,
  });
  toClose.push(http);
  return { http, lines };
}

interface Outcome {
  code?: ErrorCode;
  bytes?: Buffer;
  status?: number;
  sizeBytes?: number | undefined;
  error?: AgentError;
}

export async function download(
  url: string,
  request: HttpRequest = {},
  client = createClient(),
): Promise<Outcome> {
  try {
    const { status, sizeBytes, body } = await client.http.fetch(url, request);
    const chunks: Buffer[] = [];
    for await (const chunk of body) chunks.push(chunk);
    return { bytes: Buffer.concat(chunks), status, sizeBytes };
  } catch (error) {
    if (!(error instanceof AgentError)) throw error;
    return { code: error.code, error };
  }
}

export const hash = (bytes: Buffer | undefined) =>
  createHash("sha256")
    .update(bytes ?? "")
    .digest("hex");
