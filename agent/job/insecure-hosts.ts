/**
 * Plain HTTP is only for hosts that the job allows it to: known from the line alone, so that it need not fail on the DUT.
 * The transport (agent/net) keeps to the same rule, redirects included.
 */
import { AgentError } from "../errors.ts";
import type { AnyJob } from "./job.ts";
import { showValue } from "./redact.ts";

/** `host` stands for every port of the host, `host:port` for that one. */
export function isHostInsecure(url: URL, insecureHosts: readonly string[]): boolean {
  const port = url.port || (url.protocol === "http:" ? "80" : "443");
  return insecureHosts.some((host) => host === url.hostname || host === `${url.hostname}:${port}`);
}

/** What the job would fetch or use by plain HTTP from a host that is not allowed. */
export function findRefusedUrls({
  artifacts,
  s3,
  insecureHosts,
}: Pick<AnyJob, "artifacts" | "s3" | "insecureHosts">): AgentError[] {
  const urls = [...artifacts.map(({ url }) => ["dut.artifact", url]), ...(s3 ? [["dut.s3", s3.url]] : [])];
  return urls.flatMap(([option, text]) => {
    const url = new URL(text!);
    if (url.protocol !== "http:" || isHostInsecure(url, insecureHosts)) return [];
    return new AgentError(
      "FETCH_INSECURE_REFUSED",
      `Cannot use "${option}=${showValue(text!)}": "${url.host}" is not among the hosts that plain HTTP is allowed to`,
      { hint: `Use https://, or add dut.insecure=${url.host}` },
    );
  });
}
