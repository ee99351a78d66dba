/**
 * The farm's HTTP server for artifacts: serves the files of one folder, with ranges and strong validators (RFC 9110).
 * It runs in this process on loopback, over plain HTTP and over TLS.
 */
import { createReadStream } from "node:fs";
import { mkdir, open, readFile, realpath, symlink } from "node:fs/promises";
import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerResponse,
} from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { join, normalize } from "node:path";
import { pipeline } from "node:stream/promises";
import type { FarmIdentity } from "./identity.ts";

export interface FileServer {
  port: number;
  tlsPort: number;
  /** The served folder. Symbolic links in it are followed. */
  root: string;
  /** Serves a file under a name without copying it. */
  publish(path: string, name: string): Promise<void>;
  stop(): Promise<void>;
}

export interface FileServerStart {
  root: string;
  identity: FarmIdentity;
}

export async function startFileServer({ root, identity }: FileServerStart): Promise<FileServer> {
  await mkdir(root, { recursive: true });
  const listener: RequestListener = (request, response) => {
    serveFile(root, request, response).catch((error: NodeJS.ErrnoException) => {
      // The client has disconnected.
      if (response.headersSent) response.destroy();
      else answer(response, error.code === "ENOENT" || error.code === "ENOTDIR" ? 404 : 500);
    });
  };
  const plain = createServer(listener);
  const tls = createTlsServer(
    { cert: await readFile(identity.certificatePath), key: await readFile(identity.keyPath) },
    listener,
  );
  const [port, tlsPort] = await Promise.all([listen(plain), listen(tls)]);
  return {
    port,
    tlsPort,
    root,
    publish: async (path, name) => symlink(await realpath(path), join(root, name)),
    stop: async () => {
      await Promise.all([close(plain), close(tls)]);
    },
  };
}

async function serveFile(root: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
  if (request.method !== "GET" && request.method !== "HEAD") return answer(response, 405);
  const path = parsePath(request.url ?? "/");
  if (path === undefined) return answer(response, 400);
  const file = await open(join(root, path));
  try {
    const stats = await file.stat({ bigint: true });
    if (!stats.isFile()) return answer(response, 404);
    const sizeBytes = Number(stats.size);
    const etag = `"${stats.ino.toString(16)}-${sizeBytes.toString(16)}-${stats.mtimeNs.toString(16)}"`;
    response.setHeader("content-type", "application/octet-stream");
    response.setHeader("accept-ranges", "bytes");
    response.setHeader("etag", etag);
    response.setHeader("last-modified", stats.mtime.toUTCString());

    const isStale = [request.headers["if-range"], request.headers["if-match"]].map(
      (tag) => tag !== undefined && tag !== etag,
    );
    if (isStale[1]) return answer(response, 412);
    const range = isStale[0] ? undefined : parseRange(request.headers.range, sizeBytes);
    if (range === "unsatisfiable") {
      response.setHeader("content-range", `bytes */${sizeBytes}`);
      return answer(response, 416);
    }
    const { start, end } = range ?? { start: 0, end: sizeBytes - 1 };
    if (range) response.setHeader("content-range", `bytes ${start}-${end}/${sizeBytes}`);
    response.setHeader("content-length", end - start + 1);
    response.writeHead(range ? 206 : 200);
    if (request.method === "HEAD" || sizeBytes === 0) response.end();
    else await pipeline(createReadStream("", { fd: file, start, end, autoClose: false }), response);
  } finally {
    await file.close();
  }
}

/** The path below the root; undefined for a URL that is not served. */
function parsePath(url: string): string | undefined {
  try {
    const path = decodeURIComponent(new URL(url, "http://farm").pathname);
    return path.includes("\0") ? undefined : normalize(path);
  } catch {
    return undefined;
  }
}

/** RFC 9110, 14.2: honours one byte range; several ranges or another unit give the complete file. */
function parseRange(
  header: string | undefined,
  sizeBytes: number,
): { start: number; end: number } | "unsatisfiable" | undefined {
  const match = /^bytes=(\d*)-(\d*)$/.exec(header ?? "");
  if (!match || (match[1] === "" && match[2] === "")) return undefined;
  const isSuffix = match[1] === "";
  const start = isSuffix ? Math.max(0, sizeBytes - Number(match[2])) : Number(match[1]);
  const end = isSuffix || match[2] === "" ? sizeBytes - 1 : Math.min(Number(match[2]), sizeBytes - 1);
  if (!isSuffix && match[2] !== "" && Number(match[2]) < start) return undefined;
  return start >= sizeBytes ? "unsatisfiable" : { start, end };
}

function answer(response: ServerResponse, status: number): void {
  response.writeHead(status, { "content-type": "text/plain", "content-length": 0 });
  response.end();
}

async function listen(server: Server): Promise<number> {
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", resolve);
  });
  return (server.address() as AddressInfo).port;
}

async function close(server: Server): Promise<void> {
  const closed = new Promise((resolve) => server.close(resolve));
  server.closeAllConnections();
  await closed;
}
