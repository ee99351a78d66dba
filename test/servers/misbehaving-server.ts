/**
 * A real HTTP(S) server that misbehaves on purpose: each request gets the next behaviour of a list, and the last one repeats.
 * It records the requests, so that tests can check ranges, validators and credentials.
 */
import { readFileSync } from "node:fs";
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo, Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

export type Behaviour = (request: IncomingMessage, response: ServerResponse) => void | Promise<void>;

interface SeenRequest {
  method: string;
  path: string;
  headers: IncomingMessage["headers"];
  body: Buffer;
}

export interface MisbehavingServer {
  /** `http://127.0.0.1:PORT` or `https://…` */
  origin: string;
  /** `127.0.0.1:PORT` */
  host: string;
  requests: SeenRequest[];
  close(): Promise<void>;
}

export type CertificateName = "good" | "other-name" | "expired" | "future" | "self-signed";

export function readCertificate(file: string): string {
  return readFileSync(new URL(`./certificates/${file}`, import.meta.url), "utf8");
}

export async function startServer(
  behaviours: Behaviour | readonly Behaviour[],
  { certificate, port = 0 }: { certificate?: CertificateName; port?: number } = {},
): Promise<MisbehavingServer> {
  const list = typeof behaviours === "function" ? [behaviours] : behaviours;
  const requests: SeenRequest[] = [];
  const listener: RequestListener = (request, response) => {
    const behaviour = list[Math.min(requests.length, list.length - 1)]!;
    const chunks: Buffer[] = [];
    const seen = {
      method: request.method!,
      path: request.url!,
      headers: request.headers,
      body: Buffer.alloc(0),
    };
    requests.push(seen);
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      seen.body = Buffer.concat(chunks);
      // Clients may abort their requests.
      Promise.resolve(behaviour(request, response)).catch(() => response.destroy());
    });
  };
  const server = certificate
    ? createTlsServer(
        { key: readCertificate(`${certificate}.key`), cert: readCertificate(`${certificate}.pem`) },
        listener,
      )
    : createServer(listener);
  const sockets = new Set<Socket>();
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    socket.on("error", () => {});
  });
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    origin: `${certificate ? "https" : "http"}://${host}`,
    host,
    requests,
    async close() {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

export interface FileOptions {
  etag?: string;
  type?: string;
  headers?: Record<string, string>;
  /** Responds with 200 and the whole file to every range. */
  ignoresRange?: boolean;
  /** Responds to a Range although If-Range names another version. */
  ignoresIfRange?: boolean;
  /** Shifts the range by this many bytes, with a correct Content-Range. */
  sliceShift?: number;
  /** Sends no Content-Length. */
  isChunked?: boolean;
  /** What happens after this many bytes of the body. */
  after?: number;
  fault?: "reset" | "silence" | "end";
}

/** Responds as a static file server, with faults. */
export function serveFile(content: Buffer, options: FileOptions = {}): Behaviour {
  return async (request, response) => {
    const { etag } = options;
    const ifRange = request.headers["if-range"];
    const isCurrent = ifRange === undefined || ifRange === etag || options.ignoresIfRange;
    const match = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? "");
    let body = content;
    const headers: Record<string, string> = {
      "content-type": options.type ?? "application/octet-stream",
      ...(etag && { etag }),
      ...options.headers,
    };
    let status = 200;
    if (match && isCurrent && !options.ignoresRange) {
      const first = Number(match[1]) + (options.sliceShift ?? 0);
      if (first >= content.length) {
        response.writeHead(416, { "content-range": `bytes */${content.length}` }).end();
        return;
      }
      const last = Math.min(match[2] ? Number(match[2]) : Number.POSITIVE_INFINITY, content.length - 1);
      body = content.subarray(first, last + 1);
      status = 206;
      headers["content-range"] = `bytes ${first}-${last}/${content.length}`;
    }
    if (!options.isChunked) headers["content-length"] = String(body.length);
    response.writeHead(status, headers);
    if (request.method === "HEAD") {
      response.end();
      return;
    }
    if (options.after === undefined) {
      response.end(body);
      return;
    }
    response.write(body.subarray(0, options.after));
    // A reset discards what is still queued, so the bytes get time to leave.
    await sleep(20);
    if (options.fault === "reset") response.socket?.resetAndDestroy();
    else if (options.fault === "end") response.socket?.end();
  };
}

export function trickle(content: Buffer, chunkBytes: number, everyMs: number): Behaviour {
  return async (_request, response) => {
    response.writeHead(200, { "content-length": String(content.length) });
    for (let at = 0; at < content.length && !response.destroyed; at += chunkBytes) {
      response.write(content.subarray(at, at + chunkBytes));
      await sleep(everyMs);
    }
    response.end();
  };
}

export function answer(
  status: number,
  headers: Record<string, string> = {},
  body: string | Buffer = "",
): Behaviour {
  return (_request, response) => {
    response.writeHead(status, headers).end(body);
  };
}

export function redirect(location: string, status = 302): Behaviour {
  return answer(status, { location });
}

/** Accepts the request and never responds. */
export const stayQuiet: Behaviour = () => {};

/** Resets the connection before any response. */
export const reset: Behaviour = (_request, response) => {
  response.socket?.resetAndDestroy();
};

export const speakGarbage: Behaviour = (_request, response) => {
  response.socket?.end("SSH-2.0-OpenSSH_9.2p1 Debian\r\n\r\n");
};
