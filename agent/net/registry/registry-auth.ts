/**
 * Authorizes pulls: Basic, or Bearer with a token from the registry's token server, as its challenge demands.
 * distribution-spec and distribution's token authentication (docs/spec/auth/token.md, oauth.md).
 */
import { AgentError } from "../../errors.ts";
import { type AuthChallenge, parseAuthChallenges } from "../../oci/auth-challenge.ts";
import type { RegistryCredential } from "../../oci/auth-file.ts";
import { readJsonObject } from "../../oci/json-shape.ts";
import { type Authorize, type ErrorResponse, fetchBytes, type HttpClient } from "../http/http-message.ts";
import { formatPublicUrl } from "../http/url-policy.ts";
import { TOKEN_LEEWAY_MS, TOKEN_LIFETIME_MS, TOKEN_MAX_BYTES } from "../limits.ts";

interface Token {
  value: string;
  /** On the monotonic clock: the wall clock may jump when NTP sets it. */
  expiresAtMs: number;
}

/** The state of one registry: the last challenge of each repository, and the tokens of each scope. */
export class RegistryAuth {
  readonly #http: HttpClient;
  readonly #findCredential: (repository: string) => RegistryCredential | undefined;
  readonly #challenges = new Map<string, AuthChallenge>();
  readonly #tokens = new Map<string, Promise<Token>>();

  constructor(http: HttpClient, findCredential: (repository: string) => RegistryCredential | undefined) {
    this.#http = http;
    this.#findCredential = findCredential;
  }

  /** For requests to one repository; `signal` also aborts a request for a token. */
  authorize(repository: string, signal: AbortSignal | undefined): Authorize {
    let last: string | undefined;
    return async ({ challenge: refusal }) => {
      if (refusal) this.#challenges.set(repository, pickChallenge(refusal.headers["www-authenticate"]));
      const challenge = this.#challenges.get(repository);
      if (!challenge) return undefined;
      const refused = refusal && last;
      last = await this.#formatAuthorization(repository, challenge, refused, signal);
      return last === undefined ? undefined : { authorization: last };
    };
  }

  /** An Authorization header; undefined when there is no other than the refused one. */
  async #formatAuthorization(
    repository: string,
    challenge: AuthChallenge,
    refused: string | undefined,
    signal: AbortSignal | undefined,
  ): Promise<string | undefined> {
    const credential = this.#findCredential(repository);
    if (challenge.scheme === "basic") {
      const basic = credential && formatBasic(credential);
      return basic === refused ? undefined : basic;
    }
    // Never the challenge's scope: a token is for pulls of this repository only, as podman asks.
    const scope = `repository:${repository}:pull`;
    const key = [challenge.parameters.realm, challenge.parameters.service, scope].join("\n");
    const pending = this.#tokens.get(key);
    const known = await pending?.catch(() => undefined);
    const isUsable = known && known.expiresAtMs > performance.now() && formatBearer(known) !== refused;
    // Concurrent requests share one token request: if the entry has changed by now, another request has renewed the token.
    if (!isUsable && this.#tokens.get(key) === pending)
      this.#tokens.set(key, fetchToken(this.#http, challenge, scope, credential, signal));
    return formatBearer(await this.#tokens.get(key)!);
  }
}

function formatBearer({ value }: Token): string {
  return `Bearer ${value}`;
}

function formatBasic({ username, password }: RegistryCredential): string {
  return `Basic ${Buffer.from(`${username}:${password}`, "utf8").toString("base64")}`;
}

/** Prefers Bearer: a registry that offers both keeps Basic for old clients. */
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
  challenge: AuthChallenge,
  scope: string,
  credential: RegistryCredential | undefined,
  signal: AbortSignal | undefined,
): Promise<Token> {
  const realm = URL.parse(challenge.parameters.realm ?? "");
  if (!realm) {
    throw new AgentError("REGISTRY_BAD_CHALLENGE", "Cannot log in to the registry: its realm is not a URL");
  }
  const name = `"${formatPublicUrl(realm)}"`;
  const { service } = challenge.parameters;
  const common = {
    maxBytes: TOKEN_MAX_BYTES,
    subject: `get a registry token from ${name}`,
    explainError({ status }: ErrorResponse) {
      if (status !== 401 && status !== 403) return undefined;
      const reason = `status ${status}: ${describeUser(credential)}`;
      return { code: "REGISTRY_UNAUTHORIZED" as const, reason };
    },
    signal,
  };
  if (credential?.identityToken) {
    const form = new URLSearchParams({
      grant_type: "refresh_token",
      refresh_token: credential.identityToken,
      client_id: "dutboot",
      scope,
    });
    if (service) form.set("service", service);
    const { bytes } = await fetchBytes(http, realm.href, {
      ...common,
      method: "POST",
      isIdempotent: true,
      headers: { "content-type": "application/x-www-form-urlencoded" },
      body: Buffer.from(form.toString()),
    });
    return parseToken(bytes, name);
  }
  // As `authorize`, so that a redirect of the token server does not send the password to another host.
  const authorize: Authorize = async ({ challenge: refusal }) =>
    refusal || !credential ? undefined : { authorization: formatBasic(credential) };
  const { bytes } = await fetchBytes(http, withQuery(realm, scope, service), { ...common, authorize });
  return parseToken(bytes, name);
}

function withQuery(realm: URL, scope: string, service: string | undefined): string {
  const url = new URL(realm);
  if (service) url.searchParams.set("service", service);
  url.searchParams.set("scope", scope);
  return url.href;
}

function parseToken(bytes: Buffer, server: string): Token {
  const { object, reader } = readJsonObject(bytes, `the registry token of ${server}`, "REGISTRY_BAD_TOKEN");
  const value = reader.optionalString(object, "token") || reader.optionalString(object, "access_token");
  // It becomes part of a header.
  if (!value || !/^[\x21-\x7e]+$/.test(value)) return reader.refuse("it has no token");
  const seconds = object.expires_in;
  const lifetimeMs = typeof seconds === "number" && seconds > 0 ? seconds * 1000 : TOKEN_LIFETIME_MS;
  return { value, expiresAtMs: performance.now() + Math.max(lifetimeMs - TOKEN_LEEWAY_MS, lifetimeMs / 2) };
}

function describeUser(credential: RegistryCredential | undefined): string {
  return credential
    ? `user "${credential.username}" was refused`
    : "there is no credential for this registry";
}
