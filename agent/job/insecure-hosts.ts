/**
 * Plain HTTP is only for hosts that the job allows it to: known from the line alone, so that it need not fail on the DUT.
 * The transport (agent/net) keeps to the same rule, redirects included.
 */
import { AgentError } from "../errors.ts";
import { showValue } from "../redaction/patterns.ts";
import type { JobDraft } from "./dut/job-draft.ts";

/** `host` stands for every port of the host, `host:port` for that one. */
export function isHostInsecure(url: URL, insecureHosts: readonly string[]): boolean {
  const port = url.port || (url.protocol === "http:" ? "80" : "443");
  return insecureHosts.some((host) => host === url.hostname || host === `${url.hostname}:${port}`);
}

/** What the job would fetch or use by plain HTTP, with no digest, from a host that is not allowed. */
export function findRefusedUrls(
  { artifacts, s3, insecureHosts, results, logTo, mirrors = [], s3Aliases = [], ...draft }: UrlUsers,
  { isWhole }: { isWhole: boolean },
): AgentError[] {
  const archives = draft.rootSources.flatMap((source) => ("archive" in source ? source.archive : []));
  const { jobFileUrl } = draft.machine;
  const jobFile = jobFileUrl ? [["dut.job", jobFileUrl] as const] : [];
  const rest = [
    ...artifacts.map((artifact) => ["dut.artifact", artifact] as const),
    ...archives.map((archive) => ["dut.rootfs", archive] as const),
    ...(s3 ? [["dut.s3", s3] as const] : []),
    ...(results && "put" in results.to ? [["dut.results", { url: results.to.put }] as const] : []),
    ...(logTo && "http" in logTo ? [["dut.log", { url: logTo.http }] as const] : []),
    ...mirrors.map((mirror) => ["dut.mirror", mirror] as const),
    ...s3Aliases.map(({ url }) => ["dut.s3_alias", { url }] as const),
  ];
  // The job file itself may say which hosts are allowed for the rest, not for itself.
  return [...jobFile, ...(isWhole ? rest : [])].flatMap(([option, { url: text, ...from }]) => {
    const url = new URL(text);
    const hasDigest = "sha256" in from && from.sha256 !== undefined;
    if (url.protocol !== "http:" || hasDigest || isHostInsecure(url, insecureHosts)) return [];
    return new AgentError(
      "FETCH_INSECURE_REFUSED",
      `Cannot use "${option}=${showValue(text)}": "${url.host}" is not among the hosts that plain HTTP is allowed to`,
      { hint: `Use https://, or add dut.insecure=${url.host}` },
    );
  });
}

type UrlUsers = Pick<
  JobDraft,
  | "artifacts"
  | "s3"
  | "insecureHosts"
  | "results"
  | "logTo"
  | "mirrors"
  | "s3Aliases"
  | "rootSources"
  | "machine"
>;
