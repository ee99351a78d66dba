/**
 * Debian's docker-registry on loopback without TLS and passwords, with a kept storage, because only the pull is measured.
 * Configuration: distribution v2.8, docs/configuration.md.
 */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type ServerProcess, startServer } from "../../qemu/farm/server-process.ts";
import { planHostBinds } from "../../qemu/host-binds.ts";
import type { ToolsRoot } from "../../qemu/tools-root.ts";

export interface RegistryOptions {
  /** Where blobs are. */
  storage: string;
  /** For its configuration and log. */
  folder: string;
  signal?: AbortSignal;
}

export async function startPlainRegistry(
  tools: ToolsRoot,
  { storage, folder, signal }: RegistryOptions,
): Promise<ServerProcess & { port: number }> {
  const configPath = join(folder, "registry.json");
  const config = {
    version: 0.1,
    // No log line per request, which would cost time; the line of the start is needed.
    log: { level: "info", accesslog: { disabled: true } },
    storage: {
      filesystem: { rootdirectory: storage },
      maintenance: { uploadpurging: { enabled: false } },
    },
    http: { addr: "127.0.0.1:0" },
  };
  await writeFile(configPath, JSON.stringify(config));
  return startServer({
    name: "docker-registry",
    words: tools.commandWords("docker-registry", ["serve", configPath], {
      bind: planHostBinds([configPath, join(storage, ".")]),
    }),
    logPath: join(folder, "registry.log"),
    readyPattern: /listening on 127\.0\.0\.1:(\d+)/,
    env: Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("REGISTRY_"))),
    onDeath: (message) => console.error(`bench: ${message}`),
    signal,
  });
}
