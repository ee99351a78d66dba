/**
 * The farm's container registry: Debian's docker-registry with TLS and a password, storing in the run directory.
 * Configuration: distribution v2.8, docs/configuration.md.
 */
import { randomBytes } from "node:crypto";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { ToolsRoot } from "../tools-root.ts";
import type { FarmIdentity } from "./identity.ts";
import { type ServerProcess, startServer } from "./server-process.ts";

export interface RegistryStart {
  tools: ToolsRoot;
  identity: FarmIdentity;
  folder: string;
  onDeath: (message: string) => void;
  signal?: AbortSignal;
}

export async function startRegistry({
  tools,
  identity,
  folder,
  onDeath,
  signal,
}: RegistryStart): Promise<ServerProcess & { port: number }> {
  await mkdir(join(folder, "storage"), { recursive: true });
  const configPath = join(folder, "config.json");
  // JSON is valid YAML.
  const config = {
    version: 0.1,
    log: { level: "info" },
    storage: {
      filesystem: { rootdirectory: join(folder, "storage") },
      delete: { enabled: true },
      maintenance: { uploadpurging: { enabled: false } },
    },
    http: {
      addr: "127.0.0.1:0",
      secret: randomBytes(16).toString("hex"),
      tls: { certificate: identity.certificatePath, key: identity.keyPath },
    },
    auth: { htpasswd: { realm: "dutboot virtual farm", path: identity.htpasswdPath } },
  };
  await writeFile(configPath, JSON.stringify(config, null, 2), { mode: 0o600 });
  return startServer({
    name: "docker-registry",
    words: tools.commandWords("docker-registry", ["serve", configPath]),
    logPath: join(folder, "registry.log"),
    readyPattern: /listening on 127\.0\.0\.1:(\d+)/,
    // Only the file configures it, not REGISTRY_* of this environment.
    env: Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("REGISTRY_"))),
    onDeath,
    signal,
  });
}

/** The registry's login, and its addresses as the guest and the host know them. */
export interface RegistryAccess {
  username: string;
  password: string;
  guestAddress: string;
  hostAddress: string;
}

/** A containers-auth.json(5) with both addresses of the registry. */
export function formatRegistryAuth({
  username,
  password,
  guestAddress,
  hostAddress,
}: RegistryAccess): string {
  const auth = Buffer.from(`${username}:${password}`).toString("base64");
  return JSON.stringify({ auths: { [guestAddress]: { auth }, [hostAddress]: { auth } } });
}
