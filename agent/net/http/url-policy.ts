/**
 * Which hosts may be reached without a known certificate: those the job names in dut.insecure, and nothing else
 * (agent/job/insecure-hosts.ts). Redirects keep to the same rules.
 */
import { isHostInsecure } from "../../job/insecure-hosts.ts";
import type { Failure } from "./failure.ts";
import { formatPublicUrl } from "./public-url.ts";

export interface UrlPolicy {
  isInsecure(url: URL): boolean;
  /** What is wrong with this URL as a target, or undefined when it may be asked. */
  findFault(url: URL, options?: { allowsPlainHttp?: boolean }): Failure | undefined;
}

export function createUrlPolicy(insecureHosts: readonly string[]): UrlPolicy {
  const hosts = insecureHosts.map((host) => host.trim().toLowerCase());
  const isInsecure = (url: URL) => isHostInsecure(url, hosts);
  return {
    isInsecure,
    findFault(url, { allowsPlainHttp = false } = {}) {
      const permanent = { isTransient: false } as const;
      if (url.protocol !== "http:" && url.protocol !== "https:") {
        return {
          ...permanent,
          code: "FETCH_BAD_URL",
          cameBack: `"${url.protocol}" is neither http: nor https:`,
        };
      }
      if (url.username || url.password) {
        return { ...permanent, code: "FETCH_BAD_URL", cameBack: "it holds a user name or password" };
      }
      if (url.protocol === "http:" && !allowsPlainHttp && !isInsecure(url)) {
        return {
          ...permanent,
          code: "FETCH_INSECURE_REFUSED",
          cameBack: `"${url.host}" is not among the hosts that plain HTTP is allowed to`,
          hint: `Use https://, or add dut.insecure=${url.host}`,
        };
      }
      return undefined;
    },
  };
}

/**
 * Where a redirect leads, or why it is not followed: a loop, another scheme, a way down from TLS, or the link-local
 * address that clouds serve machine credentials on.
 */
export function planRedirect(
  {
    from,
    location,
    visited,
    allowsPlainHttp = false,
  }: {
    from: URL;
    location: string;
    visited: ReadonlySet<string>;
    allowsPlainHttp?: boolean;
  },
  rules: UrlPolicy,
): URL | Failure {
  const refuse = (why: string): Failure => ({
    code: "FETCH_REDIRECT_REFUSED",
    cameBack: `a redirect ${why}`,
    isTransient: false,
  });
  const to = URL.parse(location, from.href);
  if (!to) return refuse("to something that is no URL");
  to.username = "";
  to.password = "";
  to.hash = "";
  const name = `"${formatPublicUrl(to)}"`;
  if (to.protocol !== "http:" && to.protocol !== "https:") return refuse(`to a "${to.protocol}" URL`);
  if (visited.has(to.href)) return refuse(`in a circle, back to ${name}`);
  const isInsecure = rules.isInsecure(to);
  if (isLinkLocal(to.hostname) && !isInsecure) return refuse(`to the link-local address of ${name}`);
  const isWayDown = from.protocol === "https:" || !allowsPlainHttp;
  if (to.protocol === "http:" && isWayDown && !isInsecure) {
    return refuse(
      from.protocol === "https:" ? `from HTTPS down to plain HTTP at ${name}` : `to plain HTTP at ${name}`,
    );
  }
  return to;
}

function isLinkLocal(hostname: string): boolean {
  return /^169\.254\./.test(hostname) || /^\[fe[89ab]/.test(hostname) || /^\[::ffff:a9fe:/.test(hostname);
}
