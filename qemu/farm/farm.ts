/**
 * The virtual farm: real servers on free loopback ports, with all state in one run directory.
 * Any number of farms can run in parallel. `stop`, the signal or the end of this process stops all servers of a farm.
 */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { ensureToolsRoot, type ToolsRoot } from "../tools-root.ts";
import { type FileServer, startFileServer } from "./file-server.ts";
import { ensureFarmIdentity, type FarmIdentity } from "./identity.ts";
import { type ObjectStore, startObjectStore } from "./object-store.ts";
import { formatRegistryAuth, startRegistry } from "./registry.ts";

/** The host's loopback as seen on QEMU's user network. */
const GUEST_HOST = "10.0.2.2";
const HOST = "127.0.0.1";

export interface Farm {
  tools: ToolsRoot;
  /** The farm's folder in the run directory, with logs and state of each server. */
  path: string;
  registry: {
    /** `host:port`; TLS with a certificate of the farm's CA. */
    hostAddress: string;
    guestAddress: string;
    username: string;
    password: string;
    caPem: string;
    /** The CA as `ca.crt` in a separate folder, as skopeo and podman require. */
    caPath: string;
    /** Username and password in containers-auth.json(5) format. */
    authFilePath: string;
  };
  s3: ObjectStore & { guestUrl: string };
  http: Pick<FileServer, "root" | "publish"> & { hostUrl: string; guestUrl: string };
  /** Ports of all servers, on 127.0.0.1. */
  ports: readonly number[];
  /** The same files over TLS. */
  https: { hostUrl: string; guestUrl: string };
  /** Stops every server and resolves when all have ended. May be called twice. */
  stop(): Promise<void>;
}

export interface FarmOptions {
  runDir: string;
  log: (line: string) => void;
  signal?: AbortSignal;
}

/** Starts all servers in parallel and resolves when each one answers. If one cannot start, stops the others. */
export async function startFarm({ runDir, log, signal }: FarmOptions): Promise<Farm> {
  const tools = await ensureToolsRoot({ log, signal });
  const identity = await ensureFarmIdentity(tools, signal);
  const startedMs = performance.now();
  const path = join(runDir, "farm");
  await mkdir(path, { recursive: true });
  const onDeath = (message: string) => log(`farm: ${message}`);
  const starts = [
    startRegistry({
      tools,
      identity,
      folder: join(path, "registry"),
      onDeath,
      signal,
    }),
    startObjectStore({ tools, folder: join(path, "swift"), onDeath, signal }),
    startFileServer({ root: join(path, "http"), identity }),
  ] as const;
  const stop = async () => {
    const started = await Promise.allSettled<{ stop(): Promise<void> }>(starts);
    await Promise.all(
      started.map((server) => (server.status === "fulfilled" ? server.value.stop() : undefined)),
    );
  };
  const onAbort = () => void stop();
  signal?.addEventListener("abort", onAbort, { once: true });
  try {
    const [registry, objectStore, fileServer] = await Promise.all(starts);
    signal?.throwIfAborted();
    log(`farm: registry, S3 and HTTP servers up in ${((performance.now() - startedMs) / 1000).toFixed(1)} s`);
    const described = describeRegistry(registry.port, identity, join(path, "auth.json"));
    await writeFile(described.authFilePath, formatRegistryAuth(described), { mode: 0o600 });
    return {
      tools,
      path,
      registry: described,
      s3: { ...objectStore, guestUrl: `http://${GUEST_HOST}:${objectStore.port}` },
      http: { ...urls("http", fileServer.port), root: fileServer.root, publish: fileServer.publish },
      ports: [registry.port, objectStore.port, fileServer.port, fileServer.tlsPort],
      https: urls("https", fileServer.tlsPort),
      stop: async () => {
        signal?.removeEventListener("abort", onAbort);
        await stop();
      },
    };
  } catch (error) {
    await stop();
    signal?.throwIfAborted();
    throw error;
  }
}

function describeRegistry(port: number, identity: FarmIdentity, authFilePath: string): Farm["registry"] {
  return {
    hostAddress: `${HOST}:${port}`,
    guestAddress: `${GUEST_HOST}:${port}`,
    username: identity.registryUsername,
    password: identity.registryPassword,
    caPem: identity.caPem,
    caPath: identity.caPath,
    authFilePath,
  };
}

const urls = (scheme: string, port: number) => ({
  hostUrl: `${scheme}://${HOST}:${port}`,
  guestUrl: `${scheme}://${GUEST_HOST}:${port}`,
});
