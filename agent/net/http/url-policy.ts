/**
 * Which URLs may be requested. Plain HTTP and unknown certificates are accepted only from the hosts that the job names in
 * dut.insecure (agent/job/insecure-hosts.ts), after a redirect too.
 */
import type { ErrorCode } from "../../errors.ts";
import { isHostInsecure } from "../../job/insecure-hosts.ts";
import type { Failure } from "./failure.ts";
import { formatPublicUrl } from "./public-url.ts";

interface PlainHttpOptions {
  /** Plain HTTP is accepted from every host, because the reader checks a digest. */
  allowsPlainHttp?: boolean;
}

export interface UrlPolicy {
  isInsecure(url: URL): boolean;
  /** The parsed URL, or why it is refused. */
  check(text: string, options?: PlainHttpOptions): URL | Failure;
  /**
   * Where a redirect leads, or why it is not followed: a loop, another scheme, a downgrade from TLS, or the link-local
   * address at which clouds serve machine credentials.
   */
  checkRedirect(
    redirect: { from: URL; location: string; visited: ReadonlySet<string> } & PlainHttpOptions,
  ): URL | Failure;
}

export function createUrlPolicy(insecureHosts: readonly string[]): UrlPolicy {
  const hosts = insecureHosts.map((host) => host.trim().toLowerCase());
  const isInsecure = (url: URL) => isHostInsecure(url, hosts);
  return {
    isInsecure,
    check(text, { allowsPlainHttp = false } = {}) {
      const refuse = (reason: string, code: ErrorCode = "FETCH_BAD_URL"): Failure => ({ code, reason });
      const url = URL.parse(text);
      if (!url) return refuse("invalid URL");
      if (!isHttp(url)) return refuse(`"${url.protocol}" is neither http: nor https:`);
      if (url.username || url.password) return refuse("the URL contains a user name or password");
      if (url.protocol === "http:" && !allowsPlainHttp && !isInsecure(url)) {
        const reason = `plain HTTP is not allowed for "${url.host}"`;
        const hint = `Use https://, or add dut.insecure=${url.host}`;
        return { ...refuse(reason, "FETCH_INSECURE_REFUSED"), hint };
      }
      return url;
    },
    checkRedirect({ from, location, visited, allowsPlainHttp = false }) {
      const refuse = (where: string): Failure => ({
        code: "FETCH_REDIRECT_REFUSED",
        reason: `a redirect ${where}`,
      });
      const to = URL.parse(location, from.href);
      if (!to) return refuse("to an invalid URL");
      to.username = "";
      to.password = "";
      to.hash = "";
      const name = `"${formatPublicUrl(to)}"`;
      if (!isHttp(to)) return refuse(`to a "${to.protocol}" URL`);
      if (visited.has(to.href)) return refuse(`in a loop, back to ${name}`);
      if (isInsecure(to)) return to;
      if (isLinkLocal(to.hostname)) return refuse(`to the link-local address of ${name}`);
      if (to.protocol === "https:") return to;
      if (from.protocol === "https:") return refuse(`from HTTPS to plain HTTP at ${name}`);
      return allowsPlainHttp ? to : refuse(`to plain HTTP at ${name}`);
    },
  };
}

function isHttp({ protocol }: URL): boolean {
  return protocol === "http:" || protocol === "https:";
}

function isLinkLocal(hostname: string): boolean {
  return /^169\.254\./.test(hostname) || /^\[fe[89ab]/.test(hostname) || /^\[::ffff:a9fe:/.test(hostname);
}
