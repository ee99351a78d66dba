/**
 * Which hosts may be reached over plain HTTP: a rule that the job's reader and the transport (agent/net) share.
 */

/** An entry `host` allows every port of the host, `host:port` only that one. */
export function isHostInsecure(url: URL, insecureHosts: readonly string[]): boolean {
  const port = url.port || (url.protocol === "http:" ? "80" : "443");
  return insecureHosts.some((host) => host === url.hostname || host === `${url.hostname}:${port}`);
}
