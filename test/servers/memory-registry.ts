/**
 * A small registry in memory, with its own token server, for what a real registry cannot be made to do: expired tokens,
 * wrong digests, manifests of every shape. The tests also use docker-registry.
 */
import { createHash } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { answer, type Behaviour, serveFile } from "./misbehaving-server.ts";

export interface MemoryRegistry {
  behaviour: Behaviour;
  /** The requests and their credentials, oldest first. */
  log: { path: string; authorization: string | undefined; status: number }[];
  putBlob(bytes: Buffer): string;
  putManifest(name: string, document: unknown, options?: { type?: string; digestHeader?: string }): string;
  /** By digest: what is sent instead of the blob. */
  lies: Map<string, Behaviour>;
  /** How many tokens were issued. */
  tokens: string[];
}

export interface MemoryRegistryOptions {
  /** With `bearer`: how many requests a token is valid for. */
  auth?: "none" | "basic" | "bearer";
  tokenUses?: number;
  user?: { username: string; password: string };
  expiresIn?: number;
}

export const digestOf = (bytes: Buffer): string =>
  `sha256:${createHash("sha256").update(bytes).digest("hex")}`;

export function createMemoryRegistry(options: MemoryRegistryOptions = {}): MemoryRegistry {
  const { auth = "none", tokenUses = Number.POSITIVE_INFINITY, user, expiresIn } = options;
  const blobs = new Map<string, Buffer>();
  const manifests = new Map<string, { bytes: Buffer; headers: Record<string, string> }>();
  const usesLeft = new Map<string, number>();
  const registry: MemoryRegistry = {
    behaviour: serve,
    log: [],
    lies: new Map(),
    tokens: [],
    putBlob(bytes) {
      blobs.set(digestOf(bytes), bytes);
      return digestOf(bytes);
    },
    putManifest(name, document, { type = "application/vnd.oci.image.manifest.v1+json", digestHeader } = {}) {
      const bytes = Buffer.from(JSON.stringify(document));
      const headers = { "content-type": type, "docker-content-digest": digestHeader ?? digestOf(bytes) };
      manifests.set(name, { bytes, headers });
      manifests.set(digestOf(bytes), { bytes, headers });
      return digestOf(bytes);
    },
  };

  const basic = user && `Basic ${Buffer.from(`${user.username}:${user.password}`).toString("base64")}`;

  function isAllowed(authorization: string | undefined): boolean {
    if (auth === "none") return true;
    if (auth === "basic") return authorization === basic;
    const token = authorization?.replace(/^Bearer /, "") ?? "";
    const left = usesLeft.get(token) ?? 0;
    usesLeft.set(token, left - 1);
    return left > 0;
  }

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname, searchParams } = new URL(request.url!, "http://registry");
    const { authorization } = request.headers;
    response.on("close", () =>
      registry.log.push({ path: request.url!, authorization, status: response.statusCode }),
    );
    if (pathname === "/token") {
      if (basic && authorization !== basic) return answer(401)(request, response);
      const token = `token-${registry.tokens.length + 1}`;
      registry.tokens.push(`${token} ${searchParams.get("scope")}`);
      usesLeft.set(token, tokenUses);
      const body = { token, expires_in: expiresIn };
      return answer(200, { "content-type": "application/json" }, JSON.stringify(body))(request, response);
    }
    if (!isAllowed(authorization)) {
      const repository = /^\/v2\/(.+)\/(manifests|blobs)\//.exec(pathname)?.[1];
      const challenge =
        auth === "basic"
          ? 'Basic realm="registry"'
          : `Bearer realm="http://${request.headers.host}/token",service="test",scope="repository:${repository}:pull"`;
      const body = '{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}';
      return answer(401, { "www-authenticate": challenge }, body)(request, response);
    }
    const [, kind, name = ""] = /^\/v2\/.+\/(manifests|blobs)\/([^/]+)$/.exec(pathname) ?? [];
    const lie = registry.lies.get(name);
    if (lie) return lie(request, response);
    const manifest = kind === "manifests" ? manifests.get(name) : undefined;
    if (manifest) return answer(200, manifest.headers, manifest.bytes)(request, response);
    const blob = kind === "blobs" ? blobs.get(name) : undefined;
    if (blob) return serveFile(blob)(request, response);
    const code = kind === "manifests" ? "MANIFEST_UNKNOWN" : "BLOB_UNKNOWN";
    return answer(404, {}, JSON.stringify({ errors: [{ code }] }))(request, response);
  }

  return registry;
}
