/**
 * Reads podman's and docker's auth.json: which user and password belong to which registry.
 * containers-auth.json(5); credential helpers are named in such files too and cannot be run on a DUT.
 */
import { AgentError } from "../errors.ts";
import { isObject, type JsonObject, readJsonObject } from "./json-shape.ts";

export interface RegistryCredential {
  username: string;
  password: string;
  /** Stands for the password in an OAuth 2 exchange with the token server. */
  identityToken?: string;
}

export interface RegistryAuthFile {
  /** The entry for the longest matching prefix of `registry/repository`, as podman looks it up. */
  findCredential(registry: string, repository?: string): RegistryCredential | undefined;
}

/** Throws REGISTRY_BAD_AUTH_FILE; the message never holds a secret. */
export function parseAuthFile(bytes: Uint8Array): RegistryAuthFile {
  const { object, reader } = readJsonObject(bytes, "registry.json", "REGISTRY_BAD_AUTH_FILE");
  const auths = reader.optionalObject(object, "auths") ?? {};
  const credentials = new Map<string, RegistryCredential>();
  for (const [key, entry] of Object.entries(auths)) {
    const credential = isObject(entry)
      ? parseEntry(entry, key)
      : reader.refuse(`entry "${key}" is no object`);
    if (credential) credentials.set(normaliseKey(key), credential);
  }
  return {
    findCredential(registry, repository) {
      const parts = repository ? repository.split("/") : [];
      for (let length = parts.length; length >= 0; length -= 1) {
        const found = credentials.get([normaliseKey(registry), ...parts.slice(0, length)].join("/"));
        if (found) return found;
      }
      return undefined;
    },
  };
}

function parseEntry(entry: JsonObject, key: string): RegistryCredential | undefined {
  const refuse = (why: string): never => {
    throw new AgentError("REGISTRY_BAD_AUTH_FILE", `Cannot read registry.json: entry "${key}" ${why}`);
  };
  const text = (field: string): string | undefined => {
    const value = entry[field];
    if (value === undefined || value === null || value === "") return undefined;
    return typeof value === "string" ? value : refuse(`has a "${field}" that is no string`);
  };
  const identityToken = text("identitytoken");
  const auth = text("auth");
  if (auth === undefined) {
    const username = text("username");
    const password = text("password");
    if (username === undefined || password === undefined) return undefined;
    return { username, password, identityToken: identityToken || undefined };
  }
  const decoded = Buffer.from(auth, "base64").toString("utf8");
  const colon = decoded.indexOf(":");
  if (colon < 1) return refuse('has an "auth" that is not base64 of USER:PASSWORD');
  return {
    username: decoded.slice(0, colon),
    // Docker pads with NUL in some versions; podman strips them as well.
    password: decoded.slice(colon + 1).replace(/\0+$/, ""),
    identityToken: identityToken || undefined,
  };
}

/** Docker writes `https://HOST/v1/`, podman `HOST` or `HOST/namespace`; Docker Hub goes by three names. */
function normaliseKey(key: string): string {
  const bare = key
    .replace(/^https?:\/\//, "")
    .replace(/\/+$/, "")
    .replace(/\/v[12]$/, "");
  return bare.replace(/^(index|registry-1)\.docker\.io(?=\/|$)/, "docker.io").toLowerCase();
}
