/**
 * Parses podman's and docker's auth.json, which has the credentials of registries: containers-auth.json(5).
 * Credential helpers in such files are ignored, because they cannot run on a DUT.
 */
import { isObject, type JsonObject, type JsonReader, readJsonObject } from "./json-shape.ts";

export interface RegistryCredential {
  username: string;
  password: string;
  /** Replaces the password in an OAuth 2 exchange with the token server. */
  identityToken?: string;
}

export interface RegistryAuthFile {
  /** The entry for the longest matching prefix of `registry/repository`, as in podman. */
  findCredential(registry: string, repository?: string): RegistryCredential | undefined;
}

/** Throws REGISTRY_BAD_AUTH_FILE, whose message never contains a secret. */
export function parseAuthFile(bytes: Uint8Array): RegistryAuthFile {
  const { object, reader } = readJsonObject(bytes, "registry.json", "REGISTRY_BAD_AUTH_FILE");
  const auths = reader.optionalObject(object, "auths") ?? {};
  const credentials = new Map<string, RegistryCredential>();
  for (const [key, entry] of Object.entries(auths)) {
    if (!isObject(entry)) reader.refuse(`entry "${key}" is not an object`);
    const credential = readEntry(entry as JsonObject, key, reader);
    if (credential) credentials.set(normalizeKey(key), credential);
  }
  return {
    findCredential(registry, repository) {
      const parts = repository ? repository.split("/") : [];
      for (let length = parts.length; length >= 0; length -= 1) {
        const key = [normalizeKey(registry), ...parts.slice(0, length)].join("/");
        const credential = credentials.get(key);
        if (credential) return credential;
      }
      return undefined;
    },
  };
}

function readEntry(entry: JsonObject, key: string, reader: JsonReader): RegistryCredential | undefined {
  const text = (field: string) => {
    const value = entry[field] ?? "";
    if (typeof value !== "string") reader.refuse(`entry "${key}" has a "${field}" that is not a string`);
    return (value as string) || undefined;
  };
  const identityToken = text("identitytoken");
  const auth = text("auth");
  if (auth === undefined) {
    const [username, password] = [text("username"), text("password")];
    return username === undefined || password === undefined
      ? undefined
      : { username, password, identityToken };
  }
  const decoded = Buffer.from(auth, "base64").toString("utf8");
  const colon = decoded.indexOf(":");
  if (colon < 1) reader.refuse(`entry "${key}" has an "auth" that is not base64 of USER:PASSWORD`);
  // Some versions of Docker pad with NUL; podman removes that too.
  const password = decoded.slice(colon + 1).replace(/\0+$/, "");
  return { username: decoded.slice(0, colon), password, identityToken };
}

/** Docker writes `https://HOST/v1/`, podman `HOST` or `HOST/namespace`; Docker Hub has three names. */
function normalizeKey(key: string): string {
  const bare = key
    .replace(/^https?:\/\//, "")
    .replace(/\/+$/, "")
    .replace(/\/v[12]$/, "");
  return bare.replace(/^(index|registry-1)\.docker\.io(?=\/|$)/, "docker.io").toLowerCase();
}
