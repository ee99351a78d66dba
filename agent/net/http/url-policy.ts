/**
 * Which URLs may be requested. Plain HTTP and unknown certificates are accepted only from the hosts that the job names in
 * dut.insecure (agent/job/insecure-hosts.ts), after a redirect too.
 */
import { isHostInsecure } from "../../job/insecure-hosts.ts";
import type { Failure } from "./failure.ts";

interface PlainHttpOptions {
  /** Plain HTTP is accepted from every host, because the reader checks a digest. */
  allowsPlainHttp?: boolean;
}

export class UrlPolicy {
  readonly #insecureHosts: readonly string[];

  constructor(insecureHosts: readonly string[]) {
    this.#insecureHosts = insecureHosts.map((host) => host.trim().toLowerCase());
  }

  isInsecure(url: URL): boolean {
    return isHostInsecure(url, this.#insecureHosts);
  }

  /** The parsed URL, or why it is refused. */
  check(text: string, { allowsPlainHttp = false }: PlainHttpOptions = {}): URL | Failure {
    const refuse = (reason: string): Failure => ({ code: "FETCH_BAD_URL", reason });
    const url = URL.parse(text);
    if (!url) return refuse("invalid URL");
    if (!isHttp(url)) return refuse(`"${url.protocol}" is neither http: nor https:`);
    if (url.username || url.password) return refuse("the URL contains a user name or password");
    if (url.protocol === "https:" || allowsPlainHttp || this.isInsecure(url)) return url;
    return {
      code: "FETCH_INSECURE_REFUSED",
      reason: `plain HTTP is not allowed for "${url.host}"`,
      hint: `Use https://, or add dut.insecure=${url.host}`,
    };
  }

  /**
   * Where a redirect leads, or why it is not followed: a loop, another scheme, a downgrade from TLS, or the link-local
   * address at which clouds serve machine credentials.
   */
  checkRedirect({
    from,
    location,
    visited,
    allowsPlainHttp = false,
  }: { from: URL; location: string; visited: ReadonlySet<string> } & PlainHttpOptions): URL | Failure {
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
    if (this.isInsecure(to)) return to;
    if (isLinkLocal(to.hostname)) return refuse(`to the link-local address of ${name}`);
    if (to.protocol === "https:") return to;
    if (from.protocol === "https:") return refuse(`from HTTPS to plain HTTP at ${name}`);
    return allowsPlainHttp ? to : refuse(`to plain HTTP at ${name}`);
  }
}

function isHttp({ protocol }: URL): boolean {
  return protocol === "http:" || protocol === "https:";
}

function isLinkLocal(hostname: string): boolean {
  return /^169\.254\./.test(hostname) || /^\[fe[89ab]/.test(hostname) || /^\[::ffff:a9fe:/.test(hostname);
}

/**
 * Formats URLs for logs and errors: without user info and query, which may hold credentials and signatures.
 */

export function formatPublicUrl(url: URL | string): string {
  const parsed = typeof url === "string" ? URL.parse(url) : url;
  // An invalid URL may hold a password as well: show its scheme only.
  if (!parsed) return /^[a-z][a-z0-9+.-]*:/i.exec(String(url))?.[0] ?? "";
  const host = parsed.host ? `//${parsed.host}` : "";
  return `${parsed.protocol}${host}${parsed.pathname}${parsed.search ? "?…" : ""}`;
}
