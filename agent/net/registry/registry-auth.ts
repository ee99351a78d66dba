/**
 * Proves who pulls: Basic, or Bearer with a token from the registry's token server, as its challenge says.
 * distribution-spec and distribution's token authentication (docs/spec/auth/token.md, oauth.md).
 */
import { AgentError } from "../../errors.ts";
import { type AuthChallenge, parseAuthChallenges } from "../../oci/auth-challenge.ts";
import type { RegistryCredential } from "../../oci/auth-file.ts";
import { readJsonObject } from "../../oci/json-shape.ts";
import { fetchWhole } from "../http/fetch-whole.ts";
import type { Authorize, HttpClient } from "../http/http-message.ts";
import { formatPublicUrl } from "../http/public-url.ts";
import { TOKEN_LEEWAY_MS, TOKEN_LIFETIME_MS, TOKEN_MAX_BYTES } from "../limits.ts";

export interface RegistryAuth {
  /** For requests to one repository; `signal` ends a token request as well. */
  authorize(repository: string, signal: AbortSignal | undefined): Authorize;
}

interface Token {
  value: string;
  /** On the monotonic clock: the wall clock may jump when NTP answers. */
  expiresAtMs: number;
}

/** One registry's state: its last challenge, and the tokens by scope. `credential` is asked for by repository. */
export function createRegistryAuth(
  http: HttpClient,
  findCredential: (repository: string) => RegistryCredential | undefined,
): RegistryAuth {
  const challengeByRepository = new Map<string, AuthChallenge>();
  const tokens = new Map<string, Promise<Token>>();

  /** Undefined when there is nothing better to show than `refusedProof`. */
  async function prove(
    repository: string,
    challenge: AuthChallenge,
    { refusedProof, signal }: { refusedProof?: string | undefined; signal: AbortSignal | undefined },
  ): Promise<string | undefined> {
    const credential = findCredential(repository);
    if (challenge.scheme === "basic") {
      const proof = credential && formatBasic(credential);
      return proof === refusedProof ? undefined : proof;
    }
    const scope = challenge.parameters.scope ?? `repository:${repository}:pull`;
    const key = [challenge.parameters.realm, challenge.parameters.service, scope].join("\n");
    const pending = tokens.get(key);
    const known = await pending?.catch(() => undefined);
    const isUsable = known && known.expiresAtMs > performance.now() && formatBearer(known) !== refusedProof;
    // Layers that meet the same expiry share one request: where the entry is another by now, somebody renewed it.
    if (!isUsable && tokens.get(key) === pending) {
      tokens.set(key, fetchToken(http, { challenge, scope, credential, signal }));
    }
    return formatBearer(await tokens.get(key)!);
  }

  return {
    authorize(repository, signal) {
      let lastProof: string | undefined;
      return async ({ challenge: refusal }) => {
        if (refusal)
          challengeByRepository.set(repository, pickChallenge(refusal.headers["www-authenticate"]));
        const challenge = challengeByRepository.get(repository);
        if (!challenge) return undefined;
        lastProof = await prove(repository, challenge, {
          signal,
          ...(refusal && { refusedProof: lastProof }),
        });
        return lastProof === undefined ? undefined : { authorization: lastProof };
      };
    },
  };
}

function formatBearer({ value }: Token): string {
  return `Bearer ${value}`;
}

function formatBasic({ username, password }: RegistryCredential): string {
  return `Basic ${Buffer.from(`${username}:${password}`, "utf8").toString("base64")}`;
}

/** Bearer before Basic: a registry that offers both means the weaker one for old clients. */
function pickChallenge(header: string | undefined): AuthChallenge {
  const challenges = parseAuthChallenges(header ?? "");
  const chosen =
    challenges.find(({ scheme, parameters }) => scheme === "bearer" && parameters.realm) ??
    challenges.find(({ scheme }) => scheme === "basic");
  if (chosen) return chosen;
  const offered = challenges.map(({ scheme }) => scheme).join(", ") || "nothing";
  throw new AgentError(
    "REGISTRY_BAD_CHALLENGE",
    `Cannot log in to the registry: it offers ${offered}, neither Basic nor Bearer with a realm`,
  );
}

async function fetchToken(
  http: HttpClient,
  {
    challenge,
    scope,
    credential,
    signal,
  }: {
    challenge: AuthChallenge;
    scope: string;
    credential: RegistryCredential | undefined;
    signal: AbortSignal | undefined;
  },
): Promise<Token> {
  const realm = URL.parse(challenge.parameters.realm ?? "");
  if (!realm) {
    throw new AgentError("REGISTRY_BAD_CHALLENGE", "Cannot log in to the registry: its realm is no URL");
  }
  const name = `"${formatPublicUrl(realm)}"`;
  const service = challenge.parameters.service;
  const common = {
    maxBytes: TOKEN_MAX_BYTES,
    subject: `get a registry token from ${name}`,
    explainError: ({ status }: { status: number }) =>
      status === 401 || status === 403
        ? {
            code: "REGISTRY_UNAUTHORIZED" as const,
            cameBack: `status ${status}: ${describeUser(credential)}`,
          }
        : undefined,
    signal,
  };
  const { identityToken } = credential ?? {};
  const { bytes } = identityToken
    ? await fetchWhole(http, realm.href, {
        ...common,
        method: "POST",
        isIdempotent: true,
        headers: { "content-type": "application/x-www-form-urlencoded" },
        body: Buffer.from(
          new URLSearchParams({
            grant_type: "refresh_token",
            refresh_token: identityToken,
            client_id: "dutboot",
            scope,
            ...(service !== undefined && { service }),
          }).toString(),
        ),
      })
    : await fetchWhole(http, withQuery(realm, scope, service), {
        ...common,
        // As `authorize`, so that a redirect of the token server does not carry the password elsewhere.
        ...(credential && {
          authorize: async ({ challenge: refusal }) =>
            refusal ? undefined : { authorization: formatBasic(credential) },
        }),
      });
  return parseToken(bytes, `the registry token of ${name}`);
}

function withQuery(realm: URL, scope: string, service: string | undefined): string {
  const url = new URL(realm);
  if (service !== undefined) url.searchParams.set("service", service);
  // A challenge may name several scopes, separated by spaces; each is a parameter of its own.
  for (const each of scope.split(" ")) url.searchParams.append("scope", each);
  return url.href;
}

function parseToken(bytes: Buffer, what: string): Token {
  const { object, reader } = readJsonObject(bytes, what, "REGISTRY_BAD_TOKEN");
  const value = reader.optionalString(object, "token") ?? reader.optionalString(object, "access_token");
  // Goes into a header as it is.
  if (!value || !/^[\x21-\x7e]+$/.test(value)) return reader.refuse("it holds no token");
  const seconds = object.expires_in;
  const lifetimeMs = typeof seconds === "number" && seconds > 0 ? seconds * 1000 : TOKEN_LIFETIME_MS;
  return { value, expiresAtMs: performance.now() + Math.max(lifetimeMs - TOKEN_LEEWAY_MS, lifetimeMs / 2) };
}

function describeUser(credential: RegistryCredential | undefined): string {
  return credential
    ? `user "${credential.username}" was refused`
    : "no credential is there for this registry";
}
