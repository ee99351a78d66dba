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
import { RegistryAuth } from "./registry-auth.ts";

/** A repository on one of the hosts. */
export interface RegistryRepository {
  /** `https://host/v2/repository` */
  base: string;
  authorize: Authorize;
  retry?: Partial<RetryLimits>;
}

/** Which host of an image was used; `isLast` for the registry itself. */
export interface HostPosition {
  index: number;
  name: string;
  isLast: boolean;
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

export class RegistryHosts {
  readonly #http: HttpClient;
  readonly #options: RegistryHostsOptions;
  readonly #auths = new Map<string, RegistryAuth>();
  readonly #unreachable = new Set<string>();

  constructor(http: HttpClient, options: RegistryHostsOptions) {
    this.#http = http;
    this.#options = options;
  }

  /**
   * Calls `act` for one host after the other until it succeeds, and returns its result; throws the error of the registry itself.
   * `from`: index of the first host to try.
   */
  async failover<Result>(
    reference: ImageReference,
    { signal, from = 0 }: { signal?: AbortSignal; from?: number },
    act: (repository: RegistryRepository, host: HostPosition) => Promise<Result>,
  ): Promise<Result> {
    const { mirrors = [], log } = this.#options;
    const hosts: Host[] = mirrors
      .filter(({ registry }) => registry === reference.registry)
      .map(({ url }) => parseMirror(url));
    hosts.push({ name: reference.registry, prefix: "" });
    const last = hosts.length - 1;
    for (let index = from; index < last; index += 1) {
      const host = hosts[index]!;
      if (this.#unreachable.has(host.name)) continue;
      try {
        return await act(await this.#locate(host, reference, signal), {
          index,
          name: host.name,
          isLast: false,
        });
      } catch (error) {
        signal?.throwIfAborted();
        if (!(error instanceof AgentError)) throw error;
        // Otherwise every layer would wait for it again.
        if (error.code.startsWith("FETCH_")) this.#unreachable.add(host.name);
        const next = hosts[index + 1]!.name;
        log?.warn(`fetch: the mirror ${host.name} failed (${error.code}), trying ${next}`);
      }
    }
    const { name } = hosts[last]!;
    return act(await this.#locate(hosts[last]!, reference, signal), { index: last, name, isLast: true });
  }

  async #locate(
    { name, prefix, origin }: Host,
    { repository }: ImageReference,
    signal: AbortSignal | undefined,
  ): Promise<RegistryRepository> {
    const { mirrorBudgetMs = MIRROR_BUDGET_MS } = this.#options;
    const auth =
      this.#auths.get(name) ?? new RegistryAuth(this.#http, (path) => this.#options.auth(name, path));
    this.#auths.set(name, auth);
    const path = prefix + repository;
    const authorize = auth.authorize(path, signal);
    if (origin === undefined) {
      const found = await this.#http.findOrigin(registryApiHost(name), { signal });
      return { base: `${found}/v2/${path}`, authorize };
    }
    const retry = { budgetMs: mirrorBudgetMs, firstContactBudgetMs: mirrorBudgetMs };
    return { base: `${origin}/v2/${path}`, authorize, retry };
  }
}

/** `https://host:port/prefix` has the images of the registry at `https://host:port/v2/prefix/…`. */
function parseMirror(text: string): Host {
  const url = new URL(text);
  const path = url.pathname.replace(/^\/v2(?=\/|$)/, "").replace(/^\/+|\/+$/g, "");
  return { name: url.host, origin: url.origin, prefix: path === "" ? "" : `${path}/` };
}
