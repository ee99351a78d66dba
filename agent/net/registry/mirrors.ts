/**
 * The hosts that an image is pulled from: the mirrors that the job names for its registry, in their order, then the registry.
 * When a mirror fails, a warning is logged and the next host is used. Digests decide what is trusted.
 */
import { AgentError } from "../../errors.ts";
import type { RegistryMirror } from "../../job/job.ts";
import type { RegistryCredential } from "../../oci/auth-file.ts";
import { type ImageReference, registryApiHost } from "../../oci/reference.ts";
import type { Authorize, HttpClient } from "../http/http-message.ts";
import { MIRROR_BUDGET_MS, type RetryLimits } from "../limits.ts";
import { createRegistryAuth, type RegistryAuth } from "./registry-auth.ts";

/** A repository on one of the hosts. */
export interface RegistryRepository {
  /** `https://host/v2/repository` */
  base: string;
  authorize: Authorize;
  retry: Partial<RetryLimits> | undefined;
}

export interface RegistryHosts {
  /**
   * Calls `act` for one host after the other until it succeeds, and returns its result; throws the error of the registry itself.
   * `from`: index of the first host to try.
   */
  failover<Result>(
    reference: ImageReference,
    options: { signal: AbortSignal | undefined; from?: number },
    act: (repository: RegistryRepository, index: number) => Promise<Result>,
  ): Promise<Result>;
  count(reference: ImageReference): number;
}

export interface RegistryHostsOptions {
  /** The credential for one host, of the registry or a mirror: each host sees its own credentials only. */
  auth(host: string, repository: string): RegistryCredential | undefined;
  mirrors?: readonly RegistryMirror[];
  log?: { warn(message: string): void };
  /** How long a mirror is retried; for tests. */
  mirrorBudgetMs?: number;
}

interface Host {
  /** For credentials and messages. */
  name: string;
  /** What precedes the repository's name there. */
  prefix: string;
  /** Of a mirror, whose URL the job gives. */
  origin?: string;
}

export function createRegistryHosts(http: HttpClient, options: RegistryHostsOptions): RegistryHosts {
  const { mirrors = [], log, mirrorBudgetMs = MIRROR_BUDGET_MS } = options;
  const mirrorRetry = { budgetMs: mirrorBudgetMs, firstContactBudgetMs: mirrorBudgetMs };
  const auths = new Map<string, RegistryAuth>();
  const unreachable = new Set<string>();

  const listHosts = ({ registry }: ImageReference): Host[] => [
    ...mirrors.filter((mirror) => mirror.registry === registry).map(({ url }) => parseMirror(url)),
    { name: registry, prefix: "" },
  ];

  async function locate(
    { name, prefix, origin }: Host,
    { repository }: ImageReference,
    signal: AbortSignal | undefined,
  ): Promise<RegistryRepository> {
    const auth = auths.get(name) ?? createRegistryAuth(http, (path) => options.auth(name, path));
    auths.set(name, auth);
    const path = prefix + repository;
    return {
      base: `${origin ?? (await http.findOrigin(registryApiHost(name), { signal }))}/v2/${path}`,
      authorize: auth.authorize(path, signal),
      retry: origin === undefined ? undefined : mirrorRetry,
    };
  }

  return {
    count: (reference) => listHosts(reference).length,
    async failover(reference, { signal, from = 0 }, act) {
      const hosts = listHosts(reference);
      const last = hosts.length - 1;
      for (let index = from; index < last; index += 1) {
        const host = hosts[index]!;
        if (unreachable.has(host.name)) continue;
        try {
          return await act(await locate(host, reference, signal), index);
        } catch (error) {
          signal?.throwIfAborted();
          if (!(error instanceof AgentError)) throw error;
          // Otherwise every layer would wait for it again.
          if (error.code.startsWith("FETCH_")) unreachable.add(host.name);
          const next = hosts[index + 1]!.name;
          log?.warn(`fetch: the mirror ${host.name} failed (${error.code}), trying ${next}`);
        }
      }
      return act(await locate(hosts[last]!, reference, signal), last);
    },
  };
}

/** `https://host:port/prefix` has the images of the registry at `https://host:port/v2/prefix/…`. */
function parseMirror(text: string): Host {
  const url = new URL(text);
  const path = url.pathname.replace(/^\/v2(?=\/|$)/, "").replace(/^\/+|\/+$/g, "");
  return { name: url.host, origin: url.origin, prefix: path === "" ? "" : `${path}/` };
}
