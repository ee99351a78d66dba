/**
 * Who is asked for an image: the mirrors that the job names for its registry, in their order, then the registry itself.
 * A mirror is a convenience: whatever is wrong with it is told and the next one asked; digests decide what is believed.
 */
import { AgentError } from "../../errors.ts";
import type { RegistryMirror } from "../../job/job.ts";
import type { RegistryCredential } from "../../oci/auth-file.ts";
import type { ImageReference } from "../../oci/reference.ts";
import { registryApiHost } from "../../oci/reference.ts";
import type { Authorize, HttpClient } from "../http/http-message.ts";
import { MIRROR_BUDGET_MS, type RetryLimits } from "../limits.ts";
import { createRegistryAuth, type RegistryAuth } from "./registry-auth.ts";

/** One place that may have the image. */
export interface RegistryPlace {
  /** `https://host/v2/repository` */
  base: string;
  authorize: Authorize;
  /** Fields of each request there. */
  request: { retry?: Partial<RetryLimits> };
}

export interface RegistryHosts {
  /**
   * Does it at the first place where it works; gives what it gave and throws what the registry itself failed with.
   * `from`: places before it have had their turn.
   */
  atFirst<Result>(
    reference: ImageReference,
    options: { signal: AbortSignal | undefined; from?: number },
    act: (place: RegistryPlace, index: number) => Promise<Result>,
  ): Promise<Result>;
  /** How many places there are for the image. */
  count(reference: ImageReference): number;
}

export interface RegistryHostsOptions {
  /** `registry` is the host that is asked: each gets its own credentials only. */
  auth(registry: string, repository: string): RegistryCredential | undefined;
  mirrors?: readonly RegistryMirror[];
  log?: { warn(message: string): void };
  /** How long a mirror is tried; for tests. */
  mirrorBudgetMs?: number;
}

interface Host {
  /** For credentials and messages. */
  name: string;
  /** In front of the repository's name there. */
  prefix: string;
  /** Of a mirror, which the job gives with its scheme. */
  origin?: string;
}

export function createRegistryHosts(http: HttpClient, options: RegistryHostsOptions): RegistryHosts {
  const { mirrors = [], log, mirrorBudgetMs = MIRROR_BUDGET_MS } = options;
  const auths = new Map<string, RegistryAuth>();
  const dead = new Set<string>();

  const listHosts = ({ registry }: ImageReference): Host[] => [
    ...mirrors.filter((mirror) => mirror.registry === registry).map(({ url }) => describeMirror(url)),
    { name: registry, prefix: "" },
  ];

  async function locate(
    { name, prefix, origin }: Host,
    { repository }: ImageReference,
    signal: AbortSignal | undefined,
  ): Promise<RegistryPlace> {
    const auth = auths.get(name) ?? createRegistryAuth(http, (wanted) => options.auth(name, wanted));
    auths.set(name, auth);
    const path = prefix + repository;
    const found = origin ?? (await http.findOrigin(registryApiHost(name), { signal }));
    return {
      base: `${found}/v2/${path}`,
      authorize: auth.authorize(path, signal),
      request:
        origin === undefined
          ? {}
          : { retry: { budgetMs: mirrorBudgetMs, firstContactBudgetMs: mirrorBudgetMs } },
    };
  }

  return {
    count: (reference) => listHosts(reference).length,
    async atFirst(reference, { signal, from = 0 }, act) {
      const hosts = listHosts(reference);
      const last = hosts.length - 1;
      for (let index = from; index < last; index += 1) {
        const host = hosts[index]!;
        if (dead.has(host.name)) continue;
        try {
          return await act(await locate(host, reference, signal), index);
        } catch (error) {
          signal?.throwIfAborted();
          if (!(error instanceof AgentError)) throw error;
          // Nobody there: it would only be waited for again, once a layer.
          if (error.code.startsWith("FETCH_")) dead.add(host.name);
          log?.warn(
            `fetch: the mirror ${host.name} cannot help (${error.code}), asking ${hosts[index + 1]!.name}`,
          );
        }
      }
      return act(await locate(hosts[last]!, reference, signal), last);
    },
  };
}

/** `https://host:port/prefix` has the images of the registry at `https://host:port/v2/prefix/…`. */
function describeMirror(text: string): Host {
  const url = new URL(text);
  const path = url.pathname.replace(/^\/v2(?=\/|$)/, "").replace(/^\/+|\/+$/g, "");
  return { name: url.host, origin: url.origin, prefix: path === "" ? "" : `${path}/` };
}
